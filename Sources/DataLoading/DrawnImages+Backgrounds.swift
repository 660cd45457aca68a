extension DrawnColor {
  /// A colour by hue (in turns, any number), saturation and brightness (from 0 to 1).
  init(hue: Float, saturation: Float, brightness: Float) {
    let sector = hue.fraction * 6
    let pure = DrawnColor(abs(sector - 3) - 1, 2 - abs(sector - 2), 2 - abs(sector - 4))
    self = (pure.clamped(lowerBound: .zero, upperBound: .one) * saturation + (1 - saturation)) * brightness
  }

  /// Perceived lightness, roughly: the usual weights of red, green and blue.
  var lightness: Float { 0.30 * x + 0.59 * y + 0.11 * z }
}

/// The colours of one drawing: muted behind, vivid in front, and light against dark.
struct DrawnPalette {
  /// Background, and a second shade of it.
  let back: DrawnColor
  let backAccent: DrawnColor
  /// Object, and a second colour on it.
  let front: DrawnColor
  let frontAccent: DrawnColor

  init(using random: inout DrawnRandom) {
    let hue = random.uniform(0...1)
    let isDark = random.chance(0.45)
    let brightness = isDark ? random.uniform(0.22...0.45) : random.uniform(0.68...0.95)
    let saturation = random.uniform(0.12...0.55)
    back = DrawnColor(hue: hue, saturation: saturation, brightness: brightness)
    backAccent = DrawnColor(
      hue: hue + random.uniform(-0.12...0.12), saturation: min(saturation + random.uniform(-0.1...0.25), 0.8),
      brightness: brightness * random.uniform(0.62...0.85))
    let frontHue = hue + random.uniform(0.2...0.8)
    let frontBrightness = isDark ? random.uniform(0.85...1) : random.uniform(0.5...0.88)
    front = DrawnColor(hue: frontHue, saturation: random.uniform(0.6...0.95), brightness: frontBrightness)
    frontAccent =
      random.chance(0.4)
      ? DrawnColor(hue: frontHue + 0.1, saturation: 0.12, brightness: 0.97)
      : DrawnColor(
        hue: frontHue + random.uniform(0.08...0.3), saturation: random.uniform(0.5...0.9),
        brightness: frontBrightness * random.uniform(0.55...0.8))
  }
}

/// What lies behind the object.
enum DrawnBackground: CaseIterable {
  case gradient, glow, clouds, bricks, wood, stripes, dots, tiles, ground

  static func any(using random: inout DrawnRandom) -> DrawnBackground {
    allCases[random.integer(0...allCases.count - 1)]
  }

  /// Fills the whole board.
  func draw(on canvas: inout DrawnCanvas, palette: DrawnPalette, using random: inout DrawnRandom) {
    let (back, accent) = (palette.back, palette.backAccent)
    let noise = DrawnNoise(using: &random)
    let scale = random.uniform(0.8...1.3)
    let turned = DrawnPlacement(center: .zero, size: 1, angle: random.angle())
    let leaning = DrawnPlacement(center: .zero, size: 1, angle: random.uniform(-0.25...0.25))
    let pixel = canvas.pixelWidth
    switch self {
    case .gradient:
      canvas.fill { mix(back, accent * 0.8, turned.local($0).x * 0.4 + 0.5) }
    case .glow:
      let middle = DrawnPoint(random.uniform(-0.5...0.5), random.uniform(-0.5...0.5))
      canvas.fill { mix(back * 1.08, accent * 0.75, min(($0 - middle).length * 0.6, 1)) }
    case .clouds:
      canvas.fill { mix(back * 1.1, accent * 0.8, noise.cloudiness(at: turned.local($0) * (2 * scale) + 50)) }
    case .bricks:
      canvas.fill {
        brickColor(leaning.local($0), scale: scale, noise: noise, pixel: pixel, brick: accent, mortar: back)
      }
    case .wood:
      canvas.fill { woodColor(turned.local($0), scale: scale, noise: noise, light: back, dark: accent * 0.9) }
    case .stripes:
      canvas.fill { point in
        let phase = (turned.local(point).x * 2.2 * scale).fraction
        return mix(back, accent, coverage((abs(phase - 0.5) - 0.25) / (2.2 * scale), width: pixel))
      }
    case .dots:
      canvas.fill { point in
        let place = turned.local(point) * (2.2 * scale)
        let cell = DrawnPoint(place.x.fraction - 0.5, place.y.fraction - 0.5)
        return mix(back, accent, coverage((cell.length - 0.27) / (2.2 * scale), width: pixel))
      }
    case .tiles:
      canvas.fill { point in
        let place = leaning.local(point) * (1.9 * scale) + 20
        let cell = DrawnPoint(abs(place.x.fraction - 0.5), abs(place.y.fraction - 0.5))
        let shade = 0.86 + 0.26 * noise.lattice(Int32(place.x), Int32(place.y))
        let joint = coverage((0.46 - max(cell.x, cell.y)) / (1.9 * scale), width: pixel)
        return mix(back * shade, accent * 0.7, joint)
      }
    case .ground:
      let horizon = random.uniform(-0.1...0.45)
      canvas.fill { point in
        let wall = mix(back * 1.08, back * 0.88, (point.x + 1) / 2)
        let floor =
          mix(accent * 0.72, accent, min((point.y - horizon) / 0.8, 1)) * (0.94 + 0.12 * noise.value(at: point * 9))
        return mix(wall, floor, coverage(horizon - point.y, width: pixel))
      }
    }
  }
}

/// Courses of bricks, every second one shifted by half a brick, each brick in a shade of its own.
private func brickColor(
  _ point: DrawnPoint, scale: Float, noise: DrawnNoise, pixel: Float, brick: DrawnColor, mortar: DrawnColor
) -> DrawnColor {
  let place = point * DrawnPoint(1.5, 3.2) * scale + 20
  let row = Int32(place.y)
  let x = place.x + (row.isMultiple(of: 2) ? 0.5 : 0)
  let gapX = (0.5 - abs(x.fraction - 0.5)) / (1.5 * scale)
  let gapY = (0.5 - abs(place.y.fraction - 0.5)) / (3.2 * scale)
  let shade = 0.82 + 0.36 * noise.lattice(Int32(x), row)
  return mix(brick * shade, mortar, coverage(min(gapX, gapY) - 0.025, width: pixel))
}

/// Boards with wavering grain.
private func woodColor(
  _ point: DrawnPoint, scale: Float, noise: DrawnNoise, light: DrawnColor, dark: DrawnColor
) -> DrawnColor {
  let board = (point.y * 1.4 * scale + 20).rounded(.down)
  let shade = 0.85 + 0.25 * noise.lattice(Int32(board), 7)
  let waver = noise.value(at: [point.x * 1.2 + board * 5 + 40, point.y * 4 + 40])
  let grain = ((point.y * 3.4 + waver * 1.6) * scale + 0.3 * board).fraction
  let joint = (point.y * 1.4 * scale).fraction
  let gap: Float = min(joint, 1 - joint) < 0.03 ? 0.7 : 1
  return mix(light, dark, 0.25 + 0.6 * abs(2 * grain - 1)) * shade * gap
}
