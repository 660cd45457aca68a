import Tensors
import Testing

/// When parameters say that their gradients are complete.
struct GradientAnnouncementTests {
  private let parameters: [(name: String, parameter: Parameter)]
  private let arena: ParameterArena

  init() {
    let values = randomTensors([8, 8], [8], [8, 8], [8], seed: 4)
    parameters = zip(["a", "b", "c", "unused"], values).map { ($0, Parameter($1)) }
    arena = ParameterArena(parameters)
    arena.startStep()
  }

  /// `b` is used before and after `c`, `unused` nowhere.
  private func loss() -> Tensor {
    let x = randomTensors([5, 8], seed: 9)[0]
    let (a, b, c) = (parameters[0].parameter, parameters[1].parameter, parameters[2].parameter)
    let hidden = activation(linear(x, weight: a.value, bias: b.value), .gelu)
    return mean(linear(hidden, weight: c.value, bias: b.value))
  }

  @Test func aGradientIsAnnouncedOnceWithItsLastShare() {
    var announced: [(name: String, gradient: [Float])] = []
    arena.announceGradients { index in
      let entry = arena.entries[index]
      announced.append((entry.name, Array(arena.gradients[entry.range])))
    }
    loss().backward(announcing: true)
    // Reverse order of use; what is used twice waits for both.
    #expect(announced.map(\.name) == ["c", "a", "b"])
    for (name, gradient) in announced {
      guard let entry = arena.entries.first(where: { $0.name == name }) else { continue }
      #expect(gradient == Array(arena.gradients[entry.range]), "\(name) changed after its announcement")
    }
  }

  @Test func onlyTheLastBackwardAnnounces() {
    var count = 0
    arena.announceGradients { _ in count += 1 }
    loss().backward()
    #expect(count == 0)
    let first = Array(arena.gradients[arena.entries[2].range])
    loss().backward(announcing: true)
    #expect(count == 3)
    #expect(Array(arena.gradients[arena.entries[2].range]) == first.map { 2 * $0 })
    arena.announceGradients(nil)
    loss().backward(announcing: true)
    #expect(count == 3)
  }
}
