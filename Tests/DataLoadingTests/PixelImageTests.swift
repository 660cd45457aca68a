import DataLoading
import Testing

struct PixelImageTests {
  @Test func aPictureSurvivesPNGUnchanged() throws {
    let picture = PixelImage(width: 7, height: 5, pixels: (0..<105).map { UInt8($0 * 37 % 256) })
    let decoded = try PixelImage(decoding: picture.encodedAsPNG(), name: "made up")
    #expect(decoded == picture)
  }
}
