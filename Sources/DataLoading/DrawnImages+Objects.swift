/// How the inside of an object is coloured.
enum DrawnMaterial: CaseIterable {
  case plain, faded, striped, speckled, dotted

  /// The material's colour as a function of the place on the object (about -1...1).
  func color(palette: DrawnPalette, pixel: Float, using random: inout DrawnRandom) -> (DrawnPoint) -> DrawnColor {
    let (front, accent) = (palette.front, palette.frontAccent)
    let turned = DrawnPlacement(center: .zero, size: 1, angle: random.angle())
    let frequency = random.uniform(1.2...2)
    let noise = DrawnNoise(using: &random)
    let width = pixel * frequency
    return switch self {
    case .plain: { _ in front }
    case .faded: { mix(front, accent, min(max(turned.local($0).x * 0.6 + 0.4, 0), 1)) }
    case .striped:
      { point in
        let phase = (turned.local(point).x * frequency).fraction
        return mix(front, accent, coverage(abs(phase - 0.5) - 0.22, width: width))
      }
    case .speckled: { mix(front, accent, min(max(noise.cloudiness(at: $0 * 3.5 + 30) * 3.2 - 1.2, 0), 1)) }
    case .dotted:
      { point in
        let place = turned.local(point) * (frequency * 1.2) + 0.5
        let cell = DrawnPoint(place.x.fraction - 0.5, place.y.fraction - 0.5)
        return mix(front, accent, coverage(cell.length - 0.26, width: width * 1.2))
      }
    }
  }
}

/// The light of one drawing: where it comes from, and so where shadows fall.
struct DrawnLight {
  /// Unit vector on the board towards the light, which always stands above.
  let direction: DrawnPoint

  init(using random: inout DrawnRandom) {
    let angle = random.uniform(-1...1)
    direction = [angle.sine, -angle.cosine]
  }
}

extension DrawnCanvas {
  /// Paints a solid thing: its shadow, then its face with a rim that catches the light.
  /// - Parameter outline: Signed distance in the coordinates of the object.
  mutating func paintObject(
    at placement: DrawnPlacement, light: DrawnLight, color: (DrawnPoint) -> DrawnColor, rim: Float = 0.2,
    castsShadow: Bool = true, outline: (DrawnPoint) -> Float
  ) {
    let size = placement.size
    if castsShadow {
      let shift = light.direction * (0.2 * size)
      paint(softness: 0.3 * size, opacity: 0.5, where: { outline(placement.local($0 + shift)) * size }) { _, _ in
        [0.03, 0.03, 0.06]
      }
    }
    let step: Float = 0.03
    paint(where: { outline(placement.local($0)) * size }) { point, depth in
      let local = placement.local(point)
      // Walking towards the light, one leaves through a lit rim and enters through a shaded one.
      let slope = (outline(placement.local(point + light.direction * (step * size))) * size - depth) / (step * size)
      let nearRim = min(max(1 + depth / (rim * size), 0), 1)
      let broad = (point - placement.center).dot(light.direction) / size
      return color(local) * (1 + 0.34 * slope * nearRim + 0.12 * broad)
    }
  }

  /// Paints a ball: brightness follows the cosine between its surface and the light, with a highlight.
  mutating func paintBall(at placement: DrawnPlacement, light: DrawnLight, color: (DrawnPoint) -> DrawnColor) {
    let size = placement.size
    let shift = light.direction * (0.22 * size)
    paint(softness: 0.4 * size, opacity: 0.5, where: { ($0 - placement.center + shift).length - size }) { _, _ in
      [0.03, 0.03, 0.06]
    }
    let toLight = SIMD3<Float>(light.direction.x * 0.62, light.direction.y * 0.62, 0.78)
    paint(where: { ($0 - placement.center).length - size }) { point, _ in
      let flat = (point - placement.center) / size
      let height = max(1 - flat.dot(flat), 0).squareRoot()
      let cosine = flat.x * toLight.x + flat.y * toLight.y + height * toLight.z
      // The pattern is stretched towards the rim, as on a real ball.
      let surface = placement.local(placement.center + flat * size * (1.35 - 0.35 * height))
      let highlight = max(cosine - 0.9, 0) * 8
      return mix(color(surface) * (0.42 + 0.68 * max(cosine, 0)), [1, 1, 1], min(highlight * highlight, 0.9))
    }
  }
}
