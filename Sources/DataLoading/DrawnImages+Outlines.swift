/// Signed distances to outlines, negative inside; shapes are about one unit from the centre to the rim.

/// A disc of `radius` around `center`.
@inline(__always)
func disc(_ point: DrawnPoint, center: DrawnPoint = .zero, radius: Float) -> Float { (point - center).length - radius }

/// A rectangle around `center` with rounded corners.
@inline(__always)
func box(_ point: DrawnPoint, center: DrawnPoint = .zero, half: DrawnPoint, rounding: Float = 0) -> Float {
  let x = abs(point.x - center.x) - half.x + rounding
  let y = abs(point.y - center.y) - half.y + rounding
  return DrawnPoint(max(x, 0), max(y, 0)).length + min(max(x, y), 0) - rounding
}

/// The band of `width` around the line from `start` to `end`, with round ends.
@inline(__always)
func stroke(_ point: DrawnPoint, from start: DrawnPoint, to end: DrawnPoint, width: Float) -> Float {
  let along = end - start
  let share = min(max((point - start).dot(along) / along.dot(along), 0), 1)
  return (point - start - along * share).length - width / 2
}

/// A closed polygon given by its corners in order.
///
/// The distance is that to the nearest side; the sign comes from counting the sides that a ray to the right crosses.
func polygon(_ point: DrawnPoint, corners: [DrawnPoint]) -> Float {
  var nearest = Float.infinity
  var isInside = false
  var start = corners[corners.count - 1]
  for end in corners {
    let along = end - start
    let offset = point - start
    let share = min(max(offset.dot(along) / along.dot(along), 0), 1)
    let gap = offset - along * share
    nearest = min(nearest, gap.dot(gap))
    if (start.y > point.y) != (end.y > point.y), offset.x < along.x * offset.y / along.y { isInside.toggle() }
    start = end
  }
  return isInside ? -nearest.squareRoot() : nearest.squareRoot()
}

/// Corners on the unit circle from the top clockwise, every second one drawn in to `innerRadius` where that is given.
func regularCorners(_ count: Int, innerRadius: Float? = nil) -> [DrawnPoint] {
  let total = innerRadius == nil ? count : 2 * count
  return (0..<total).map { corner in
    let angle = 2 * Float.pi * Float(corner) / Float(total)
    let radius = corner.isMultiple(of: 2) ? 1 : innerRadius ?? 1
    return [radius * angle.sine, -radius * angle.cosine]
  }
}

/// A heart: a disc on each upper side, and below them the wedge between their common tangents.
func heartDistance(_ point: DrawnPoint) -> Float {
  let x = abs(point.x)
  let lobe = disc([x, point.y], center: [0.45, -0.3], radius: 0.52)
  // The tangent of slope -1 touches the lobe where x - y = 0.75.
  let wedge = max((x + point.y - 0.885) * 0.7071, max((x - point.y - 0.75) * 0.7071, -0.3 - point.y))
  return min(lobe, wedge)
}

/// A flower of round petals about the centre.
func petalDistance(_ point: DrawnPoint, count: Int, radius: Float) -> Float {
  var nearest = disc(point, radius: 1 - radius)
  for petal in 0..<count {
    let angle = 2 * Float.pi * Float(petal) / Float(count)
    nearest = min(
      nearest, disc(point, center: [(1 - radius) * angle.sine, -(1 - radius) * angle.cosine], radius: radius))
  }
  return nearest
}
