import Collectives
import Kernels

/// How many threads a rank computes with.
enum RankThreads {
  /// Sets the thread count: what the recipe says, or this rank's share of the cores it may run on.
  ///
  /// mpirun may bind every rank to cores of its own or leave all ranks the whole machine; threads of several ranks
  /// spinning on the same core would cost hundreds of microseconds per loop. Collective.
  /// - Returns: Cores that are left to each rank beside its threads: what the rank with the fewest has.
  @discardableResult
  static func configure(_ wanted: Int?, communicator: any Communicator) throws -> Int {
    let mask = Threads.affinityCPUs
    let own = communicator.hostName + " " + mask.map(String.init).joined(separator: ",")
    let sharing = try communicator.allGather(own).count { $0 == own }
    let share = mask.count / max(1, sharing)
    Threads.configure(count: wanted ?? max(1, share))
    return Int(try communicator.allReduce(Int64(share - Threads.count), .min))
  }
}
