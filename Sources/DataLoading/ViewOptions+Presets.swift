extension ViewOptions {
  /// What a frozen teacher sees: slightly enlarged, a random square, mirrored by chance, in ImageNet's normalization.
  ///
  /// The shorter side becomes 8/7 of the resolution, as in the usual evaluation (256 for 224).
  public static func weak(resolution: Int = 224, normalization: Normalization = .imageNet) -> ViewOptions {
    ViewOptions(resolution: resolution, shorterSide: resolution * 8 / 7, crop: .random, normalization: normalization)
  }

  /// What a student sees: a part of a fifth of the area or more, mirrored by chance, and RandAugment
  /// (`rand-m7-mstd0.5-inc1`).
  public static func strong(resolution: Int = 256, normalization: Normalization = .symmetric) -> ViewOptions {
    ViewOptions(
      resolution: resolution, crop: .randomResized, cropArea: 0.2...1, randAugment: RandAugment(),
      normalization: normalization)
  }

  /// The ten views over which predictions are averaged: four corners and the middle, then their mirror images, in the
  /// order of torchvision's `TenCrop`.
  public func tenCrops() -> [ViewOptions] {
    [false, true].flatMap { isMirrored in
      [Crop.topLeft, .topRight, .bottomLeft, .bottomRight, .center].map { crop in
        var view = deterministic
        view.crop = crop
        view.isMirrored = isMirrored
        return view
      }
    }
  }
}
