import Foundation
import Testing

@testable import Checkpointing

/// A file written on the spot by whatever PyTorch is installed: `MERGEVQ_PYTHON` names its interpreter, `python3`
/// otherwise.
struct LivePyTorchTests {
  private static let script = """
    import sys, torch
    generator = torch.Generator().manual_seed(7)
    tensors = {}
    for index, type in enumerate([torch.float32, torch.float64, torch.float16, torch.bfloat16] * 5):
        shape = torch.randint(1, 9, (index % 5,), generator=generator).tolist()
        tensors[f"layer.{index}.weight"] = torch.randn(shape, generator=generator).to(type)
    tensors = {key: value.t() if value.dim() == 2 else value for key, value in tensors.items()}
    tensors["views"] = torch.randn(9, 8, 7, generator=generator)[::2, 1:, ::3].permute(2, 0, 1)
    torch.save({"model": tensors}, sys.argv[1])
    torch.save(tensors, sys.argv[2], _use_new_zipfile_serialization=False)
    with open(sys.argv[3], "wb") as output:
        for key in sorted(tensors):
            output.write(tensors[key].float().contiguous().numpy().tobytes())
    """

  @Test func aFileByTheInstalledPyTorchIsReadBitForBit() throws {
    let scratch = try Scratch()
    let paths = ["new.pt", "old.pth", "expected.bin"].map { "\(scratch.path)/\($0)" }
    let python = ProcessInfo.processInfo.environment["MERGEVQ_PYTHON"] ?? "python3"
    let process = Process()
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = [python, "-c", Self.script] + paths
    process.standardError = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      print("skipped: no PyTorch in \(python)")
      return
    }
    let expected = try Data(contentsOf: URL(filePath: paths[2]))
    for path in paths[0..<2] {
      let file = try WeightFile.open(path)
      #expect(file.names.count == 21)
      let found = try file.names.flatMap { try file.floats($0) }
      #expect(found.withUnsafeBytes { Data($0) } == expected, "\(path)")
    }
  }
}
