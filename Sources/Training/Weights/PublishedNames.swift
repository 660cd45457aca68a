/// The networks whose weights users bring along.
public enum PublishedNetwork: String, Sendable, CaseIterable {
  /// A MergeVQ tokenizer.
  case tokenizer
  /// DINOv2, the teacher of global alignment.
  case teacher
  /// LPIPS on VGG-16, the perceptual loss.
  case lpips
  /// The Inception-v3 of the Fréchet distance.
  case inception

  /// Parameters that nothing here needs and not every publisher keeps: only DINOv2's pretraining uses its mask token.
  var dispensable: [String] { self == .teacher ? ["embeddings.mask_token"] : [] }
}

/// Where the values of a tensor of a published file belong.
enum PublishedTensor: Equatable {
  /// They are the parameters of these names, one after the other along the first axis.
  case parameters([String])
  /// They belong to something else that publishers keep in the same file; `part` names it.
  case other(part: String)
}

/// How publishers name the weights of a network.
struct PublishedNames {
  /// Where the tensor of a name belongs. A name that means nothing is a parameter of that name, which will be found
  /// unexpected.
  let place: (_ name: String) -> PublishedTensor
}

extension PublishedNames {
  /// The state dict of the authors' Lightning module: `encoder.…`, `decoder.…` and `recovery.…` beside losses,
  /// discriminator, quantizer buffers and teacher. Their moving average is under `model_ema.` with the dots of the names
  /// left out.
  /// - Parameters:
  ///   - parameters: The names of our parameters.
  ///   - names: All names of the file.
  ///   - weights: With `average`, averages count wherever the file has them.
  static func tokenizer(parameters: [String], names: Set<String>, weights: WeightChoice) -> PublishedNames {
    let averagePrefix = "model_ema."
    let byFlatName = Dictionary(parameters.map { ($0.filter { $0 != "." }, $0) }) { first, _ in first }
    let averaged: Set<String> =
      weights == .average
      ? Set(parameters.filter { names.contains(averagePrefix + $0.filter { $0 != "." }) }) : []
    return PublishedNames { name in
      if name.hasPrefix(averagePrefix) {
        guard let parameter = byFlatName[String(name.dropFirst(averagePrefix.count))], averaged.contains(parameter)
        else { return .other(part: "the moving average of other things") }
        return .parameters([parameter])
      }
      if averaged.contains(name) { return .other(part: "trained values, used as their average") }
      for part in ["loss", "quantize", "dist_model", "inception_model", "lpips_vgg", "lpips_alex", "colorize"]
      where name == part || name.hasPrefix(part + ".") {
        return .other(part: name.split(separator: ".").prefix(2).joined(separator: "."))
      }
      return .parameters([name])
    }
  }

  /// The names of a network whose parameters do not depend on a recipe.
  /// - Parameter names: All names of the files.
  static func named(_ network: PublishedNetwork, names: Set<String>) -> PublishedNames {
    switch network {
    case .tokenizer: PublishedNames { .parameters([$0]) }
    case .teacher: teacher(names: names)
    case .lpips: perceptual(names: names)
    case .inception: inception
    }
  }

  /// LPIPS with VGG-16: torchvision's `features.N.…` or LPIPS's own `net.sliceM.N.…`, and `linM.model.1.weight`; also
  /// inside a tokenizer's checkpoint, under `loss.perceptual_loss.`.
  static func perceptual(names: Set<String>) -> PublishedNames {
    let prefix = "loss.perceptual_loss."
    let isInside = names.contains { $0.hasPrefix(prefix) }
    return PublishedNames { name in
      guard !isInside || name.hasPrefix(prefix) else { return .other(part: String(name.prefix { $0 != "." })) }
      let parts = name.dropFirst(isInside ? prefix.count : 0).split(separator: ".").map(String.init)
      switch parts.first {
      case "classifier", "scaling_layer", "lins": return .other(part: parts[0])
      case "net" where parts.count == 4: return .parameters(["features.\(parts[2]).\(parts[3])"])
      // Without dropout in front of it the layer is the first of its sequence.
      case let layer? where layer.hasPrefix("lin") && parts.count == 4 && parts[1] == "model":
        return .parameters(["\(layer).model.1.\(parts[3])"])
      default: return .parameters([parts.joined(separator: ".")])
      }
    }
  }

  /// `pt_inception-2015-12-05-6726825d.pth`, and torchvision's own names, which are the same.
  private static var inception: PublishedNames {
    PublishedNames { name in
      if name.hasSuffix(".num_batches_tracked") { return .other(part: "num_batches_tracked") }
      if name.hasPrefix("AuxLogits.") { return .other(part: "AuxLogits") }
      return .parameters([name])
    }
  }

  /// DINOv2 as published in `facebook/dinov2-*` (both generations of names) and in the original repository's
  /// `dinov2_vit*_pretrain.pth`; also inside a tokenizer's checkpoint, under `dist_model.`.
  static func teacher(names: Set<String>) -> PublishedNames {
    let prefix = ["dist_model.", "dinov2."].first { prefix in names.contains { $0.hasPrefix(prefix) } } ?? ""
    return PublishedNames { name in
      guard name.hasPrefix(prefix) else { return .other(part: String(name.prefix { $0 != "." })) }
      return .parameters(teacherParameters(String(name.dropFirst(prefix.count))))
    }
  }

  private static func teacherParameters(_ name: String) -> [String] {
    let originals = [
      "cls_token": "embeddings.cls_token", "mask_token": "embeddings.mask_token",
      "pos_embed": "embeddings.position_embeddings",
      "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
      "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
      "norm.weight": "layernorm.weight", "norm.bias": "layernorm.bias",
    ]
    if let parameter = originals[name] { return [parameter] }
    let parts = name.split(separator: ".").map(String.init)
    if parts.count > 3, parts[0] == "blocks" {
      return blockParameters("encoder.layer.\(parts[1])", parts[2...].joined(separator: "."))
    }
    if parts.count > 3, parts[0] == "encoder", parts[1] == "layer" {
      return blockParameters("encoder.layer.\(parts[2])", parts[3...].joined(separator: "."))
    }
    return [name]
  }

  /// A name within a block, in any of the three manners.
  private static func blockParameters(_ block: String, _ name: String) -> [String] {
    let renamed = [
      "attn.qkv": ["attention.q_proj", "attention.k_proj", "attention.v_proj"], "attn.proj": ["attention.o_proj"],
      "attention.attention.query": ["attention.q_proj"], "attention.attention.key": ["attention.k_proj"],
      "attention.attention.value": ["attention.v_proj"], "attention.output.dense": ["attention.o_proj"],
      "ls1": ["layer_scale1"], "ls2": ["layer_scale2"],
    ]
    for (published, parameters) in renamed where name.hasPrefix(published + ".") {
      let leaf = name.dropFirst(published.count + 1)
      return parameters.map { "\(block).\($0).\(leaf == "gamma" ? "lambda1" : leaf)" }
    }
    return ["\(block).\(name)"]
  }
}
