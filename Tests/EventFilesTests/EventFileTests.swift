import Foundation
import Testing

@testable import EventFiles

@Suite struct EventFileTests {
  @Test("The checksum is that of RFC 3720")
  func checksum() {
    #expect(CyclicRedundancyCheck.value(of: Array("123456789".utf8)) == 0xE306_9283)
    #expect(CyclicRedundancyCheck.value(of: [UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
    #expect(CyclicRedundancyCheck.value(of: [UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
  }

  @Test("Fields of a message are encoded as protocol buffers say")
  func encoding() {
    var message = ProtocolBuffer()
    message.append(1, Int64(150))
    message.append(2, "testing")
    message.append(3) { $0.append(1, Int64(-1)) }
    let negative = [UInt8](repeating: 0xFF, count: 9) + [1]
    #expect(message.bytes == [8, 0x96, 1, 0x12, 7] + Array("testing".utf8) + [0x1A, 11, 8] + negative)
  }

  @Test("A histogram counts every finite value once, ends with the largest, and leaves out the others")
  func histogram() throws {
    let histogram = try #require(Histogram(of: [1, 2, 2, 5, .nan, .infinity], bucketCount: 4))
    #expect(histogram.limits == [2, 3, 4, 5])
    #expect(histogram.counts == [1, 2, 0, 1])
    #expect((histogram.minimum, histogram.maximum, histogram.count) == (1, 5, 4))
    #expect((histogram.sum, histogram.sumOfSquares) == (10, 34))
    #expect(Histogram(of: [Float](repeating: 3, count: 7))?.counts == [7])
    let values: [Float] = [1, 2, 2, 5]
    let parts = values.withUnsafeBufferPointer { values in
      Histogram(
        of: [values[..<1], values[1..<1], values[1...]].map { UnsafeBufferPointer(rebasing: $0) }, bucketCount: 4)
    }
    #expect(parts == histogram)
    #expect(Histogram(of: [Float.nan]) == nil)
  }

  @Test("TensorBoard's own reader lists the tags and values, and forgets steps that a resumed run did again")
  func readByTensorBoard() throws {
    let python = ProcessInfo.processInfo.environment["MERGEVQ_PYTHON"] ?? "python3"
    let folder = NSTemporaryDirectory() + "events-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { _ = try? FileManager.default.removeItem(atPath: folder) }
    do {
      let file = try EventFile(folder: folder, firstStep: 1, time: 1_000)
      for step in 1...4 { try file.append(step: step, scalars: [("train/loss", Double(step)), ("train/odd", .nan)]) }
    }
    let file = try EventFile(folder: folder, firstStep: 3, time: 2_000)
    try file.append(step: 3, scalars: [("train/loss", 30)])
    try file.append(step: 3, tag: "validation/images", encoded: Self.png, width: 1, height: 1)
    let histogram = try #require(Histogram(of: [1, 2, 2, 5], bucketCount: 4))
    try file.append(step: 3, histograms: [("weights/decoder", histogram)])

    let script = """
      import importlib.util, sys
      if importlib.util.find_spec("tensorboard") is None: print("no tensorboard"); sys.exit()
      from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
      import logging; logging.disable(logging.CRITICAL)
      a = EventAccumulator(sys.argv[1], size_guidance={"images": 0, "histograms": 0, "scalars": 0}); a.Reload()
      t = a.Tags()
      print("scalars", t["scalars"], "images", t["images"], "histograms", t["histograms"])
      print([(e.step, e.value) for e in a.Scalars("train/loss")])
      i = a.Images("validation/images")[0]; print(i.step, i.width, i.height, len(i.encoded_image_string))
      h = a.Histograms("weights/decoder")[0]
      v = h.histogram_value; print(h.step, v.min, v.max, v.num, v.sum, v.sum_squares, list(v.bucket_limit), list(v.bucket))
      """
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [python, "-c", script, folder]
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    // 127: env finds no such program.
    if text == "no tensorboard\n" || process.terminationStatus == 127 {
      return print("skipped: \(python) has no tensorboard")
    }
    #expect(process.terminationStatus == 0)
    #expect(
      text == """
        scalars ['train/loss', 'train/odd'] images ['validation/images'] histograms ['weights/decoder']
        [(1, 1.0), (2, 2.0), (3, 30.0)]
        3 1 1 \(Self.png.count)
        3 1.0 5.0 4.0 10.0 34.0 [2.0, 3.0, 4.0, 5.0] [1.0, 2.0, 0.0, 1.0]

        """)
  }

  /// TensorBoard hands pictures on without looking into them.
  private static let png = [UInt8]([0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
}
