/// One value of a pickle.
///
/// Containers are indices into a `PickleGraph`, not references: a pickle may be nested a million levels deep or refer
/// to itself, and neither freeing nor walking it may follow suit.
enum PickleValue {
  case none
  case boolean(Bool)
  case integer(Int)
  case real(Double)
  case text(String)
  case tuple(Int)
  case list(Int)
  case dictionary(Int)
  case global(PickleGlobal)
  case storage(Int)
  case tensor(Int)
  /// Plain data or an object of no interest, of which nothing is kept.
  case inert
}

/// Everything that a pickle describes.
struct PickleGraph {
  var tuples: [[PickleValue]] = []
  var lists: [[PickleValue]] = []
  /// Pairs in the order in which they were set; of two equal keys the last counts.
  var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
  var storages: [TorchStorage] = []
  var tensors: [TorchTensor] = []

  /// The value of a text key in a dictionary.
  func value(of key: String, in dictionary: Int) -> PickleValue? {
    dictionaries[dictionary].last { pair in
      if case .text(key) = pair.key { true } else { false }
    }?.value
  }
}

/// The memory that tensors of a PyTorch file view.
struct TorchStorage {
  /// Its name in the file.
  let key: String
  /// The type of its elements; nil if the tensors alone know.
  let elementType: ElementType?
  /// Elements, or bytes where the type is nil.
  let elementCount: Int

  /// Length in bytes, or nil if that overflows.
  var byteCount: Int? {
    let (bytes, overflow) = elementCount.multipliedReportingOverflow(by: elementType?.byteCount ?? 1)
    return overflow ? nil : bytes
  }
}

/// A strided view of a storage. All numbers count elements.
struct TorchTensor {
  let storage: Int
  let elementType: ElementType
  let offset: Int
  let shape: [Int]
  let strides: [Int]
}

/// The names from outside that a pickle may mention. None of them is ever called; each has a meaning here.
enum PickleGlobal {
  /// A dictionary of any class.
  case dictionary
  /// `torch.Size`, a tuple.
  case size
  /// `torch._utils._rebuild_tensor` and its later versions.
  case rebuildTensor
  /// `torch._utils._rebuild_parameter`.
  case rebuildParameter
  /// A storage class; nil for untyped bytes.
  case storageClass(ElementType?)
  /// An element type, such as `torch.float32`.
  case elementType(ElementType)
  /// Hyper-parameters and other things that trainers leave in their files; skipped.
  case inert

  /// What `module.name` means here, or nil if a pickle must not mention it.
  init?(module: String, name: String) {
    let fullName = "\(module).\(name)"
    if let known = Self.known[fullName] {
      self = known
    } else if Self.inertNames.contains(fullName) || Self.inertPrefixes.contains(where: fullName.hasPrefix) {
      self = .inert
    } else {
      return nil
    }
  }

  private static let known: [String: PickleGlobal] = {
    var known: [String: PickleGlobal] = [
      "collections.OrderedDict": .dictionary, "collections.defaultdict": .dictionary, "torch.Size": .size,
      "torch._utils._rebuild_tensor": .rebuildTensor, "torch._utils._rebuild_tensor_v2": .rebuildTensor,
      "torch._utils._rebuild_tensor_v3": .rebuildTensor, "torch._utils._rebuild_parameter": .rebuildParameter,
      "torch._utils._rebuild_parameter_with_state": .rebuildParameter,
      "torch.storage.UntypedStorage": .storageClass(nil), "torch.UntypedStorage": .storageClass(nil),
    ]
    let types: [(storage: String, names: [String], type: ElementType)] = [
      ("Double", ["float64", "double"], .float64), ("Float", ["float32", "float"], .float32),
      ("Half", ["float16", "half"], .float16), ("BFloat16", ["bfloat16"], .bfloat16),
      ("Long", ["int64", "long"], .int64), ("Int", ["int32", "int"], .int32), ("Short", ["int16", "short"], .int16),
      ("Char", ["int8"], .int8), ("Byte", ["uint8"], .uint8), ("Bool", ["bool"], .bool),
    ]
    for (storage, names, type) in types {
      known["torch.\(storage)Storage"] = .storageClass(type)
      for name in names { known["torch.\(name)"] = .elementType(type) }
    }
    return known
  }()

  private static let inertNames: Set<String> = {
    var names: Set<String> = [
      "argparse.Namespace", "_codecs.encode", "copyreg._reconstructor", "copy_reg._reconstructor", "torch.device",
      "numpy.dtype", "numpy.ndarray", "typing.Any", "pathlib.Path", "pathlib.PosixPath",
    ]
    for core in ["numpy.core.multiarray", "numpy._core.multiarray"] {
      names.formUnion(["\(core).scalar", "\(core)._reconstruct"])
    }
    let plain = [
      "object", "set", "frozenset", "list", "dict", "tuple", "int", "float", "bool", "str", "bytes", "complex",
    ]
    for module in ["builtins", "__builtin__"] { names.formUnion(plain.map { "\(module).\($0)" }) }
    return names
  }()

  private static let inertPrefixes = [
    "pytorch_lightning.", "lightning.", "lightning_fabric.", "lightning_utilities.", "omegaconf.",
  ]
}
