import Foundation

/// Asks hosts whether they can be reached, with a bounded wait, all at the same time.
public struct HostCheck: Sendable {
  /// Command and arguments that start a remote command, as in Open MPI's `plm_rsh_agent`: `ssh -x`.
  public let remoteShell: [String]
  /// How long a host may take to answer.
  public let patience: Duration

  /// A check by `remoteShell HOST true`.
  public init(remoteShell: [String], patience: Duration) {
    self.remoteShell = remoteShell
    self.patience = patience
  }

  /// The hosts that answer.
  public func reachable(_ hosts: [HostList.Host]) -> Set<String> {
    let deadline = ContinuousClock.now + patience
    var processes: [(name: String, process: ChildProcess)] = []
    var answering: Set<String> = []
    for host in hosts {
      // No remote shell is needed, and none may be installed, for this host itself.
      if Self.isLocal(host.name) {
        answering.insert(host.name)
        continue
      }
      do throws(ConfigError) {
        processes.append((host.name, try ChildProcess(remoteShell + [host.name, "true"], isSilent: true)))
      } catch {
        continue  // A remote shell that cannot be started reaches nobody.
      }
    }
    for (name, process) in processes {
      if !process.wait(atMost: deadline - .now) {
        process.end()
      } else if process.exitStatus == 0 {
        answering.insert(name)
      }
    }
    return answering
  }

  private static func isLocal(_ name: String) -> Bool {
    name == "localhost" || name == "127.0.0.1" || name == ProcessInfo.processInfo.hostName
  }
}
