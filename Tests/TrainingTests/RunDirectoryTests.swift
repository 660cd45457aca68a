import Foundation
import Testing

@testable import Training

struct RunDirectoryTests {
  @Test func theResolvedRecipeIsReplacedAsAWhole() throws {
    try withTemporaryFolder { folder in
      let run = RunDirectory(path: folder)
      try run.create()
      try run.write(resolvedRecipe: String(repeating: "long: text\n", count: 10_000))
      try run.write(resolvedRecipe: "a: 1\n")
      #expect(try String(contentsOfFile: run.recipePath, encoding: .utf8) == "a: 1\n")
      #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["config.yaml"])
    }
  }

  @Test func missingParentsAreMadeAndAnExistingFolderIsFine() throws {
    try withTemporaryFolder { folder in
      let run = RunDirectory(path: folder + "/a//b/c/")
      try run.create()
      try run.create()
      #expect(FileManager.default.fileExists(atPath: folder + "/a/b/c"))
    }
  }

  @Test func aFolderThatCannotBeMadeIsNamedWithTheReason() throws {
    try withTemporaryFolder { folder in
      try "".write(toFile: folder + "/file", atomically: false, encoding: .utf8)
      let error = #expect(throws: RunDirectoryError.self) { try RunDirectory(path: folder + "/file/run").create() }
      #expect(error?.path == folder + "/file/run")
      #expect(error?.reason == .system(operation: "mkdir \(folder)/file", code: EEXIST))
    }
  }
}

struct RunLockTests {
  private let holder = RunLock.Holder(host: "here", processIdentifier: 11, since: "2025-01-02T03:04:05Z")

  @Test func theSecondJobIsRefusedAndToldWhoTrains() throws {
    try withTemporaryFolder { folder in
      let run = RunDirectory(path: folder)
      let first = try RunLock(run, holder: holder)
      let error = #expect(throws: RunDirectoryError.self) {
        try RunLock(run, holder: .init(host: "here", processIdentifier: 12, since: ""), patience: .zero)
      }
      #expect(error?.reason == .inUse(holder: holder, isOnThisHost: true))
      #expect(error?.description.contains("process 11 on this host (here)") == true)
      first.release()
    }
  }

  @Test func aReleasedDirectoryIsFree() throws {
    try withTemporaryFolder { folder in
      let run = RunDirectory(path: folder)
      try RunLock(run, holder: holder).release()
      let second = try RunLock(run, holder: .init(host: "there", processIdentifier: 1, since: ""), patience: .zero)
      second.release()
    }
  }

  @Test func theLockOfADeadJobOnThisHostIsTakenOver() throws {
    try withTemporaryFolder { folder in
      try leaveBehind(holder, in: folder)
      var successor = holder
      successor.processIdentifier = 12
      let lock = try RunLock(RunDirectory(path: folder), holder: successor, patience: .zero)
      let text = try String(contentsOfFile: folder + "/lock", encoding: .utf8)
      #expect(text.contains("\"processIdentifier\":12"))
      lock.release()
    }
  }

  @Test func theLockOfAnotherHostIsRespected() throws {
    try withTemporaryFolder { folder in
      try leaveBehind(holder, in: folder)
      let error = #expect(throws: RunDirectoryError.self) {
        try RunLock(RunDirectory(path: folder), holder: .current(), patience: .zero)
      }
      #expect(error?.description.contains("delete this file if that job is gone") == true)
    }
  }

  @Test func aRelaunchOfTheSameJobOnAnotherHostTakesOver() throws {
    try withTemporaryFolder { folder in
      var predecessor = holder
      predecessor.job = "supervisor-7"
      try leaveBehind(predecessor, in: folder)
      try RunLock(RunDirectory(path: folder), holder: .current(job: "supervisor-7"), patience: .zero).release()
    }
  }

  @Test func aTextThatACrashCutOffDoesNotBlock() throws {
    try withTemporaryFolder { folder in
      try "{\"host\":\"el".write(toFile: folder + "/lock", atomically: false, encoding: .utf8)
      try RunLock(RunDirectory(path: folder), holder: holder, patience: .zero).release()
    }
  }

  private func leaveBehind(_ holder: RunLock.Holder, in folder: String) throws {
    try JSONEncoder().encode(holder).write(to: URL(fileURLWithPath: folder + "/lock"))
  }
}
