import Foundation

/// Hosts and how many ranks each may have, as in a hostfile of Open MPI: `node7 slots=4`, one a line, `#` for comments.
public struct HostList: Sendable, Equatable {
  /// One line.
  public struct Host: Sendable, Equatable {
    /// Its name or address.
    public let name: String
    /// How many ranks it may have.
    public let slots: Int

    /// Names a host.
    public init(name: String, slots: Int) {
      self.name = name
      self.slots = slots
    }
  }

  /// The hosts in the order of the file.
  public let hosts: [Host]

  /// A list out of its hosts.
  public init(hosts: [Host]) { self.hosts = hosts }

  /// Reads a file.
  /// - Throws: `ConfigError` naming the file and line that is wrong.
  public init(path: String) throws(ConfigError) {
    guard let content = FileManager.default.contents(atPath: path) else {
      throw ConfigError(origin: path, problem: "the host list cannot be read; does the file exist?")
    }
    try self.init(text: String(decoding: content, as: UTF8.self), named: path)
  }

  /// Reads the text of a file; `name` stands for it in messages.
  public init(text: String, named name: String) throws(ConfigError) {
    var hosts: [Host] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let words = line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" || $0 == "\r" }
      guard let host = words.first else { continue }
      var slots = 1
      for word in words.dropFirst() where word.hasPrefix("slots=") {
        guard let count = Int(word.dropFirst(6)), count > 0 else {
          throw ConfigError(
            origin: "\(name):\(index + 1)", problem: "'\(word)' is not a number of slots; write slots=4")
        }
        slots = count
      }
      guard !hosts.contains(where: { $0.name == host }) else {
        throw ConfigError(origin: "\(name):\(index + 1)", problem: "host '\(host)' is listed twice")
      }
      hosts.append(Host(name: String(host), slots: slots))
    }
    guard !hosts.isEmpty else {
      throw ConfigError(origin: name, problem: "lists no host; write one a line, for example: node7 slots=4")
    }
    self.hosts = hosts
  }

  /// How many ranks all hosts together may have.
  public var slots: Int { hosts.map(\.slots).reduce(0, +) }

  /// The hosts whose names `names` contains.
  public func keeping(_ names: Set<String>) -> HostList {
    HostList(hosts: hosts.filter { names.contains($0.name) })
  }

  /// The list as a hostfile.
  public var text: String { hosts.map { "\($0.name) slots=\($0.slots)\n" }.joined() }
}
