// swift-tools-version: 6.2
import PackageDescription

// Numeric rooms are optimised in debug builds too: plain -Onone is 300–700 times slower.
let numericSwift: [SwiftSetting] = [
  .unsafeFlags(["-O"], .when(configuration: .debug)),
  .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]
let numericC: [CSetting] = [.unsafeFlags(["-O3"])]

let argumentParser: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")

let package = Package(
  name: "MergeVQ-Swift",
  products: [.executable(name: "mergevq", targets: ["mergevq"])],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-crypto", from: "3.12.3"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // C libraries and C shims.
    .systemLibrary(name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]),
    .systemLibrary(name: "COpenMPI", pkgConfig: "ompi-c", providers: [.apt(["libopenmpi-dev"])]),
    .systemLibrary(name: "CJPEG", pkgConfig: "libjpeg", providers: [.apt(["libjpeg62-turbo-dev"])]),
    .systemLibrary(name: "CPNG", pkgConfig: "libpng", providers: [.apt(["libpng-dev"])]),
    .target(name: "CKernels", dependencies: ["COpenBLAS"], cSettings: numericC),
    .target(name: "CMPI", dependencies: ["COpenMPI"]),
    .target(name: "CImageCodecs", dependencies: ["CJPEG", "CPNG"], cSettings: numericC),

    // Rooms, bottom up.
    .target(name: "Kernels", dependencies: ["CKernels", "COpenBLAS"], swiftSettings: numericSwift),
    .target(name: "Tensors", dependencies: ["Kernels"], swiftSettings: numericSwift),
    .target(name: "Layers", dependencies: ["Tensors"], swiftSettings: numericSwift),
    .target(name: "Tokenizer", dependencies: ["Layers", "Tensors"]),
    .target(name: "Generator", dependencies: ["Layers", "Tensors", "Kernels"], swiftSettings: numericSwift),
    .target(name: "EventFiles"),
    .target(name: "Optimizers", dependencies: ["Kernels", "CKernels"], swiftSettings: numericSwift),
    .target(name: "Collectives", swiftSettings: numericSwift),
    .target(name: "MPI", dependencies: ["CMPI", "Collectives"]),
    .target(name: "DataLoading", dependencies: ["CImageCodecs"], swiftSettings: numericSwift),
    .target(name: "Checkpointing", dependencies: ["CImageCodecs", crypto], swiftSettings: numericSwift),
    .target(
      name: "Evaluation", dependencies: ["Tokenizer", "DataLoading", "Layers", "Tensors", "Kernels"],
      swiftSettings: numericSwift),
    .target(
      name: "Training",
      dependencies: [
        "Kernels", "Tensors", "Layers", "Tokenizer", "Generator", "Optimizers", "Collectives", "DataLoading",
        "Checkpointing", "Evaluation", "EventFiles", crypto, yams,
      ]),
    .target(name: "Scaling", dependencies: ["Collectives"]),
    .target(name: "ScalingStudies", dependencies: ["Scaling", "Training", "Evaluation", "Collectives"]),
    .executableTarget(
      name: "mergevq",
      dependencies: [
        "Training", "Evaluation", "Generator", "ScalingStudies", "Scaling", "MPI", "Collectives", argumentParser,
      ]),

    // The virtual cluster's delays, on kernels without netem.
    .target(name: "CFrames", path: "Cluster/LinkDelay/CFrames"),
    .target(name: "LinkDelay", dependencies: ["CFrames"], path: "Cluster/LinkDelay/LinkDelay"),
    .executableTarget(name: "link-delay", dependencies: ["LinkDelay"], path: "Cluster/LinkDelay/Program"),

    // Tests: one folder per room; RankChecks are programs that the tests start under mpirun.
    .target(
      name: "TestSupport", dependencies: ["Checkpointing"], path: "Tests/TestSupport", swiftSettings: numericSwift),
    .testTarget(name: "CollectivesTests", dependencies: ["Collectives"]),
    .testTarget(name: "ScalingTests", dependencies: ["Scaling", "Collectives"]),
    .testTarget(name: "ScalingStudiesTests", dependencies: ["ScalingStudies", "Scaling", "Training"]),
    .testTarget(name: "DataLoadingTests", dependencies: ["DataLoading"], exclude: ["Fixtures"]),
    .testTarget(name: "CheckpointingTests", dependencies: ["Checkpointing", crypto], exclude: ["Fixtures"]),
    .testTarget(
      name: "EvaluationTests", dependencies: ["Evaluation", "TestSupport", "Tensors", "Layers", "Kernels"]),
    .testTarget(name: "KernelsTests", dependencies: ["Kernels"], swiftSettings: numericSwift),
    .testTarget(name: "TensorsTests", dependencies: ["Tensors", "Layers", "Kernels"], swiftSettings: numericSwift),
    .testTarget(name: "TokenizerTests", dependencies: ["Tokenizer", "Optimizers", "TestSupport"]),
    .testTarget(name: "GeneratorTests", dependencies: ["Generator", "Optimizers", "TestSupport"]),
    .testTarget(name: "LinkDelayTests", dependencies: ["LinkDelay"]),
    .testTarget(name: "EventFilesTests", dependencies: ["EventFiles"]),
    .testTarget(name: "OptimizersTests", dependencies: ["Optimizers"]),
    .testTarget(
      name: "TrainingTests",
      dependencies: [
        "Training", "Generator", "Tokenizer", "DataLoading", "Collectives", "Checkpointing", "Layers", "Tensors",
        "TestSupport",
      ]),
    .executableTarget(
      name: "rank-checks",
      dependencies: ["MPI", "Collectives", "Training", "Tokenizer", "Checkpointing", "DataLoading", "Tensors"],
      path: "Tests/RankChecks",
      swiftSettings: numericSwift),
    .executableTarget(
      name: "benchmarks",
      dependencies: [
        "Training", "Tokenizer", "Generator", "Evaluation", "DataLoading", "Collectives", "Optimizers", "Layers",
        "Tensors", "Kernels",
      ],
      path: "Tests/Benchmarks/Program", swiftSettings: numericSwift),
    .testTarget(
      name: "RankTests",
      dependencies: [
        "rank-checks", "mergevq", "benchmarks", "link-delay", "Checkpointing", "Evaluation", "Generator", "Tokenizer",
        "Layers", "Tensors", "TestSupport",
      ]),
  ]
)
