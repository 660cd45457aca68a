extension DrawnImages.Kind {
  /// Draws one example of the class.
  func draw(on canvas: inout DrawnCanvas, using random: inout DrawnRandom) {
    switch self {
    case .landscape: return drawLandscape(on: &canvas, using: &random)
    case .checkerboard: return drawCheckerboard(on: &canvas, using: &random)
    default: break
    }
    let palette = DrawnPalette(using: &random)
    let background = self == .house && random.chance(0.7) ? .ground : DrawnBackground.any(using: &random)
    background.draw(on: &canvas, palette: palette, using: &random)
    let scene = DrawnScene(kind: self, palette: palette, pixel: canvas.pixelWidth, using: &random)
    scene.draw(on: &canvas, using: &random)
  }
}

/// One object before a background.
private struct DrawnScene {
  let kind: DrawnImages.Kind
  let light: DrawnLight
  let placement: DrawnPlacement
  let color: (DrawnPoint) -> DrawnColor

  init(kind: DrawnImages.Kind, palette: DrawnPalette, pixel: Float, using random: inout DrawnRandom) {
    self.kind = kind
    light = DrawnLight(using: &random)
    // Things with small parts are drawn larger, so that the parts survive at 32 x 32.
    let isDetailed = [.face, .house, .flower].contains(kind)
    let size = isDetailed ? random.uniform(0.6...0.82) : random.uniform(0.46...0.8)
    let reach = 0.92 - size
    let center = DrawnPoint(random.uniform(-reach...reach), random.uniform(-reach...reach))
    // What has an up and a down leans a little; the rest turns freely.
    let angle =
      switch kind {
      case .face, .house, .heart: random.uniform(-0.35...0.35)
      default: random.angle()
      }
    placement = DrawnPlacement(center: center, size: size, angle: angle)
    let materials: [DrawnMaterial] = isDetailed ? [.plain, .faded, .speckled] : DrawnMaterial.allCases
    let material = materials[random.integer(0...materials.count - 1)]
    color = material.color(palette: palette, pixel: pixel / size, using: &random)
  }

  func draw(on canvas: inout DrawnCanvas, using random: inout DrawnRandom) {
    switch kind {
    case .ball: canvas.paintBall(at: placement, light: light, color: color)
    case .ring:
      let middle = random.uniform(0.68...0.78)
      solid(on: &canvas, rim: 0.14) { abs($0.length - middle) - (1 - middle) }
    case .square:
      let aspect = random.uniform(0.62...0.8)
      let rounding = random.uniform(0...0.2)
      solid(on: &canvas) { box($0, half: [0.8, aspect], rounding: rounding) }
    case .triangle:
      let corners = regularCorners(3)
      let rounding = random.uniform(0...0.1)
      solid(on: &canvas) { polygon($0, corners: corners) - rounding }
    case .star:
      let corners = regularCorners(random.integer(5...7), innerRadius: random.uniform(0.4...0.52))
      solid(on: &canvas) { polygon($0, corners: corners) - 0.03 }
    case .cross:
      let arm = random.uniform(0.2...0.32)
      solid(on: &canvas) {
        min(box($0, half: [0.95, arm], rounding: 0.05), box($0, half: [arm, 0.95], rounding: 0.05))
      }
    case .heart: solid(on: &canvas, outline: heartDistance)
    case .flower: drawFlower(on: &canvas, using: &random)
    case .face: drawFace(on: &canvas, using: &random)
    case .house: drawHouse(on: &canvas, using: &random)
    case .landscape, .checkerboard: break  // whole-board scenes, drawn before
    }
  }

  private func solid(on canvas: inout DrawnCanvas, rim: Float = 0.2, outline: (DrawnPoint) -> Float) {
    canvas.paintObject(at: placement, light: light, color: color, rim: rim, outline: outline)
  }

  /// Paints a flat detail of the object, given in the object's coordinates.
  private func detail(
    on canvas: inout DrawnCanvas, _ color: DrawnColor, opacity: Float = 1, outline: (DrawnPoint) -> Float
  ) {
    let (place, size) = (placement, placement.size)
    canvas.paint(opacity: opacity, where: { outline(place.local($0)) * size }) { _, _ in color }
  }

  private func drawFlower(on canvas: inout DrawnCanvas, using random: inout DrawnRandom) {
    let count = random.integer(5...8)
    // Neighbours touch at sine / (1 + sine); petals overlap a little.
    let sine = (Float.pi / Float(count)).sine
    let radius = 1.16 * sine / (1 + sine)
    canvas.paintObject(at: placement, light: light, color: color, rim: 0.16) {
      petalDistance($0, count: count, radius: radius)
    }
    let heartColor = DrawnColor(
      hue: random.uniform(0.08...0.17), saturation: 0.85, brightness: random.uniform(0.6...0.98))
    canvas.paintObject(
      at: DrawnPlacement(center: placement.center, size: placement.size * 0.32, angle: 0), light: light,
      color: { _ in heartColor }, rim: 0.5, castsShadow: false
    ) { disc($0, radius: 1) }
  }

  private func drawFace(on canvas: inout DrawnCanvas, using random: inout DrawnRandom) {
    let skin = DrawnColor(
      hue: random.uniform(0.04...0.16), saturation: random.uniform(0.35...0.8), brightness: random.uniform(0.7...1))
    canvas.paintObject(at: placement, light: light, color: { _ in skin }, rim: 0.45) { disc($0, radius: 1) }
    let ink = DrawnColor(0.12, 0.08, 0.1)
    let eyeHeight = random.uniform(0.14...0.22)
    let gaze = random.uniform(-0.05...0.05)
    detail(on: &canvas, [1, 1, 1]) {
      box([abs($0.x) - 0.36, $0.y + 0.25], half: [0.19, eyeHeight + 0.06], rounding: 0.19)
    }
    detail(on: &canvas, ink) { disc([abs($0.x - gaze) - 0.36, $0.y + 0.2], radius: 0.12) }
    detail(on: &canvas, skin * 0.72) { stroke($0, from: [0, -0.02], to: [0, 0.16], width: 0.13) }
    switch random.integer(0...2) {
    case 0:  // a smile: the lower arc of a circle
      detail(on: &canvas, ink) { max(abs(disc($0, center: [0, 0.1], radius: 0.52)) - 0.07, 0.36 - $0.y) }
    case 1:  // a sad mouth: the upper arc
      detail(on: &canvas, ink) { max(abs(disc($0, center: [0, 0.95], radius: 0.48)) - 0.07, $0.y - 0.68) }
    default:  // an open mouth, with lips
      let lips = DrawnColor(0.72, 0.16, 0.2)
      detail(on: &canvas, lips) { box($0, center: [0, 0.5], half: [0.34, 0.22], rounding: 0.22) }
      detail(on: &canvas, ink) { box($0, center: [0, 0.5], half: [0.22, 0.11], rounding: 0.11) }
    }
  }

  private func drawHouse(on canvas: inout DrawnCanvas, using random: inout DrawnRandom) {
    canvas.paintObject(at: placement, light: light, color: color, rim: 0.08) {
      box($0, center: [0, 0.36], half: [0.7, 0.56])
    }
    let roof = DrawnColor(
      hue: random.uniform(-0.03...0.08), saturation: random.uniform(0.4...0.8), brightness: random.uniform(0.35...0.75))
    let corners: [DrawnPoint] = [[0, -0.9], [0.92, -0.14], [-0.92, -0.14]]
    if random.chance(0.6) {
      detail(on: &canvas, roof * 0.7) { box($0, center: [0.46, -0.62], half: [0.11, 0.26]) }
    }
    canvas.paintObject(at: placement, light: light, color: { _ in roof }, rim: 0.1, castsShadow: false) {
      polygon($0, corners: corners)
    }
    let doorSide: Float = random.chance(0.5) ? 1 : -1
    detail(on: &canvas, roof * 0.55) { box($0, center: [0.34 * doorSide, 0.58], half: [0.17, 0.35]) }
    let glass = random.chance(0.5) ? DrawnColor(1, 0.92, 0.55) : DrawnColor(0.7, 0.87, 0.97)
    detail(on: &canvas, [0.97, 0.96, 0.93]) { box($0, center: [-0.32 * doorSide, 0.34], half: [0.26, 0.24]) }
    detail(on: &canvas, glass) { point in
      // Four panes, mirrored about the window's middle.
      box([abs(point.x + 0.32 * doorSide) - 0.115, abs(point.y - 0.34) - 0.105], half: [0.085, 0.075])
    }
  }
}
