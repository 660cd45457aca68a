/// A study as an array of Slurm jobs: each task starts one number of ranks once.
public struct SlurmArray {
  private let ranks: [Int]
  private let repeats: Int
  private let ranksPerNode: Int
  private let threads: Int
  private let arguments: [String]
  private let folder: String

  /// An array whose tasks write studies below `folder`.
  /// - Parameter arguments: Of `mergevq scaling run`, but for ranks, repeats, ranks per node and output.
  public init(
    ranks: [Int], repeats: Int, ranksPerNode: Int, threads: Int, arguments: [String], folder: String
  ) {
    self.ranks = ranks
    self.repeats = repeats
    self.ranksPerNode = ranksPerNode
    self.threads = threads
    self.arguments = arguments
    self.folder = folder
  }

  /// The sbatch file. Tasks run one at a time, so that they do not share the network; numbers of ranks take turns.
  public var text: String {
    let most = ranks.max() ?? 1
    let command = (["mergevq", "scaling", "run"] + arguments).map(Self.quoted).joined(separator: " ")
    return """
      #!/bin/bash
      # Written by mergevq scaling run --slurm. Start it with sbatch; edit time, partition and account as your site demands.
      # Afterwards: mergevq scaling report \(Self.quoted(folder))/task-*/study.json --output \(Self.quoted(folder))
      #SBATCH --job-name=mergevq-scaling
      #SBATCH --array=0-\(ranks.count * repeats - 1)%1
      #SBATCH --nodes=\((most + ranksPerNode - 1) / ranksPerNode)
      #SBATCH --ntasks-per-node=\(ranksPerNode)
      #SBATCH --cpus-per-task=\(threads)
      #SBATCH --exclusive
      #SBATCH --time=01:00:00
      set -eu
      ranks=(\(ranks.map(String.init).joined(separator: " ")))
      exec \(command) --ranks "${ranks[SLURM_ARRAY_TASK_ID % \(ranks.count)]}" --repeats 1 \\
        --ranks-per-node \(ranksPerNode) --output \(Self.quoted(folder))/task-"$SLURM_ARRAY_TASK_ID"

      """
  }

  /// A word of a shell command.
  private static func quoted(_ word: String) -> String {
    let isPlain = !word.isEmpty && word.allSatisfy { $0.isLetter || $0.isNumber || "-_./=:,+@%".contains($0) }
    return isPlain ? word : "'" + word.replacing("'", with: "'\\''") + "'"
  }
}
