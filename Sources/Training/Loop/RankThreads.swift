import Collectives
import Kernels

/// How many threads a rank computes with.
enum RankThreads {
  /// Sets the thread count: what the recipe says, or this rank's share of the cores it may run on.
  ///
  /// mpirun may bind every rank to cores of its own or leave all ranks the whole machine; threads of several ranks
  /// spinning on the same core would cost hundreds of microseconds per loop. Collective.
  static func configure(_ wanted: Int?, communicator: any Communicator) throws {
    let mask = Threads.affinityCPUs
    let own = communicator.hostName + " " + mask.map(String.init).joined(separator: ",")
    let sharing = try communicator.allGather(own).count { $0 == own }
    Threads.configure(count: wanted ?? max(1, mask.count / max(1, sharing)))
  }
}
