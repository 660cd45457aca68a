/// Sky, sun or moon, and rows of hills that darken towards the viewer.
func drawLandscape(on canvas: inout DrawnCanvas, using random: inout DrawnRandom) {
  let hour = DrawnHour.allCases[random.integer(0...DrawnHour.allCases.count - 1)]
  let noise = DrawnNoise(using: &random)
  let cloudiness = random.uniform(0...0.9)
  let horizon = random.uniform(-0.05...0.35)
  canvas.fill { point in
    let sky = mix(hour.zenith, hour.horizon, min(max((point.y + 1) / (horizon + 1.1), 0), 1))
    let cloud = noise.cloudiness(at: [point.x * 1.6 + 20, point.y * 3.6 + 20])
    return mix(sky, hour.cloud, min(max((cloud - 0.5) * 4, 0), 1) * cloudiness)
  }
  let sun = DrawnPoint(random.uniform(-0.7...0.7), random.uniform(-0.75 ... -0.3))
  let radius = random.uniform(0.13...0.24)
  canvas.paint(softness: 0.6, opacity: 0.55, where: { disc($0, center: sun, radius: radius + 0.1) }) { _, _ in hour.sun
  }
  canvas.paint(where: { disc($0, center: sun, radius: radius) }) { _, _ in mix(hour.sun, [1, 1, 1], 0.4) }

  let rows = random.integer(2...4)
  let hue = hour == .dusk ? random.uniform(0.6...0.9) : random.uniform(0.2...0.42)
  for row in 0..<rows {
    let nearness = Float(row + 1) / Float(rows)
    let base = horizon + (0.75 - horizon) * Float(row) / Float(rows)
    let height = random.uniform(0.12...0.38) * (1.15 - 0.6 * nearness)
    let width = random.uniform(0.7...1.6)
    let (shift, ripple) = (random.angle(), random.angle())
    let ground = DrawnColor(
      hue: hue + random.uniform(-0.04...0.04), saturation: 0.25 + 0.4 * nearness,
      brightness: hour.brightness * (0.85 - 0.45 * nearness))
    let color = mix(ground, hour.horizon, 0.55 * (1 - nearness))
    let crest: (Float) -> Float = { x in
      base - height * (0.62 * (x * 2.4 / width + shift).sine + 0.3 * (x * 5.3 / width + ripple).sine)
    }
    // Dividing by the slope turns the height above the crest into a distance.
    canvas.paint(where: { point in
      let level = crest(point.x)
      let slope = (crest(point.x + 0.02) - level) / 0.02
      return (level - point.y) / (1 + slope * slope).squareRoot()
    }) { point, depth in
      color * (1.06 + 0.2 * depth) * (0.92 + 0.16 * noise.value(at: point * 7 + 60))
    }
    if row > 0, hour != .dusk { plantTrees(on: &canvas, crest: crest, nearness: nearness, using: &random) }
  }
}

/// A few trees with their feet on the crest.
private func plantTrees(
  on canvas: inout DrawnCanvas, crest: (Float) -> Float, nearness: Float, using random: inout DrawnRandom
) {
  for _ in 0..<random.integer(0...3) {
    let x = random.uniform(-0.95...0.95)
    let size = (0.1 + 0.14 * nearness) * random.uniform(0.8...1.3)
    let foot = DrawnPoint(x, crest(x) + 0.03)
    let leaf = DrawnColor(
      hue: random.uniform(0.22...0.4), saturation: 0.6, brightness: random.uniform(0.22...0.42))
    canvas.paint(where: { stroke($0, from: foot, to: foot - [0, size], width: size * 0.25) }) { _, _ in
      [0.27, 0.18, 0.1]
    }
    if random.chance(0.5) {
      let crown = foot - [0, size * 1.5]
      canvas.paint(where: { disc($0, center: crown, radius: size * 0.75) }) { point, _ in
        leaf * (1 - 0.5 * (point.y - crown.y) / size)
      }
    } else {
      let corners = [foot - [0, 2.6 * size], foot + [0.7 * size, -0.6 * size], foot + [-0.7 * size, -0.6 * size]]
      canvas.paint(where: { polygon($0, corners: corners) }) { point, _ in leaf * (1 - 0.6 * (point.x - foot.x) / size)
      }
    }
  }
}

/// The time of day: all colours of the air.
private enum DrawnHour: CaseIterable {
  case morning, noon, dusk, night

  var zenith: DrawnColor {
    switch self {
    case .morning: [0.42, 0.62, 0.85]
    case .noon: [0.20, 0.47, 0.86]
    case .dusk: [0.24, 0.18, 0.42]
    case .night: [0.03, 0.05, 0.16]
    }
  }

  var horizon: DrawnColor {
    switch self {
    case .morning: [0.98, 0.86, 0.72]
    case .noon: [0.78, 0.89, 0.97]
    case .dusk: [0.97, 0.50, 0.26]
    case .night: [0.17, 0.22, 0.42]
    }
  }

  var cloud: DrawnColor {
    switch self {
    case .morning: [1, 0.95, 0.92]
    case .noon: [1, 1, 1]
    case .dusk: [0.75, 0.35, 0.42]
    case .night: [0.13, 0.15, 0.27]
    }
  }

  var sun: DrawnColor {
    switch self {
    case .morning: [1, 0.83, 0.45]
    case .noon: [1, 0.93, 0.55]
    case .dusk: [1, 0.62, 0.25]
    case .night: [0.88, 0.90, 0.95]
    }
  }

  /// Of the ground.
  var brightness: Float {
    switch self {
    case .morning, .noon: 1
    case .dusk: 0.62
    case .night: 0.42
    }
  }
}

/// A board of two colours seen at an angle, lit from one side.
func drawCheckerboard(on canvas: inout DrawnCanvas, using random: inout DrawnRandom) {
  let palette = DrawnPalette(using: &random)
  let isVivid = random.chance(0.6)
  let (light, dark) = (
    palette.back.lightness > 0.5 ? palette.back : palette.front, isVivid ? palette.frontAccent : palette.backAccent
  )
  let frequency = random.uniform(1.1...2.3)
  let turned = DrawnPlacement(
    center: [random.uniform(-1...1), random.uniform(-1...1)], size: 1 / frequency, angle: random.angle())
  let shade = DrawnPlacement(center: .zero, size: 1, angle: random.angle())
  let tilt = random.uniform(0...0.45)
  let grain = DrawnNoise(using: &random)
  let width = canvas.pixelWidth * frequency
  canvas.fill { point in
    // A tilted board: farther rows, at the top, are narrower.
    let depth = 1 / (1 + tilt * (point.y - 0.2))
    let place = turned.local(point * depth)
    let gap = DrawnPoint(0.5 - abs(place.x.fraction - 0.5), 0.5 - abs(place.y.fraction - 0.5))
    let isEven = (Int(place.x.rounded(.down)) + Int(place.y.rounded(.down))).isMultiple(of: 2)
    let inside = 1 - coverage(min(gap.x, gap.y), width: width * depth)
    let color = mix(light, dark, isEven ? inside : 1 - inside)
    return color * (1 + 0.22 * shade.local(point).x) * (0.93 + 0.14 * grain.value(at: place * 4 + 90))
  }
}
