public import Checkpointing
public import Collectives
public import DataLoading
public import EventFiles

// With which status `mergevq` ends, by the kind of error, in the manner of `sysexits.h`:
//
// 64  recipe, arguments          correct them
// 65  data                       correct the data set
// 70  divergence                 restarting does not help
// 74  checkpoint, run directory  make room or repair
// 75  communication, requeue     restart from the last checkpoint
//
// 70 and 75 are declared with their errors (`TrainingError`, `CommunicationError`).

// Whether a recipe fits depends on the recipe and the number of ranks alone, so all ranks throw it alike. (Reading the
// file may fail on one of them: that goes through `collectively`.)
extension ConfigError: AgreedError {
  /// 64 (`EX_USAGE`).
  public var exitStatus: Int32 { 64 }
}

extension DataError: ExitStatusError {
  /// 65 (`EX_DATAERR`).
  public var exitStatus: Int32 { 65 }
}

extension CheckpointError: ExitStatusError {
  /// 74 (`EX_IOERR`).
  public var exitStatus: Int32 { 74 }
}

extension RunDirectoryError: ExitStatusError {
  /// 74 (`EX_IOERR`); 64 if another job holds the directory, since another one must be chosen.
  public var exitStatus: Int32 {
    if case .inUse = reason { 64 } else { 74 }
  }
}

extension EventFileError: ExitStatusError {
  /// 74 (`EX_IOERR`).
  public var exitStatus: Int32 { 74 }
}
