import Testing

@testable import Checkpointing

struct ParameterComparisonTests {
  @Test func everyKeyFallsIntoOneOfFourGroups() {
    let comparison = ParameterComparison(
      expected: ["same": [2, 3], "b.wrong": [4], "a.wrong": [], "absent": [1]],
      found: ["same": [2, 3], "b.wrong": [2, 2], "a.wrong": [1], "extra": [9]])
    #expect(comparison.matched == ["same"])
    #expect(comparison.missing == ["absent"])
    #expect(comparison.unexpected == ["extra"])
    #expect(comparison.misshapen.map(\.key) == ["a.wrong", "b.wrong"])
    #expect(!comparison.isExact)
    #expect(
      comparison.description == """
        1 matched, 1 missing, 1 unexpected, 2 of another shape
        missing: absent
        unexpected: extra
        shape: a.wrong is [1], expected []
        shape: b.wrong is [2, 2], expected [4]
        """)
  }

  @Test func equalShapesAreExact() throws {
    let file = try Safetensors(
      bytes: SafetensorsTests.file(#"{"a":{"dtype":"U8","shape":[2,0],"data_offsets":[0,0]}}"#))
    #expect(ParameterComparison(expected: ["a": [2, 0]], found: file.shapes).isExact)
  }
}
