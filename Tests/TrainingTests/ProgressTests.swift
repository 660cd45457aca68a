import Testing

@testable import Training

struct ProgressTests {
  private let progress = Progress(
    step: 120, totalSteps: 3000, terms: [("loss", 0.43121), ("entropy", -12.3456), ("lr", 1e-4)],
    imagesPerSecond: 41.52, codeUsage: 0.8314, timeLeft: .seconds(725))

  @Test func theLineTellsEverythingInOrder() {
    #expect(
      progress.text == "step  120/3000 | loss 0.4312 | entropy -12.35 | lr 1.000e-04 | 41.5 images/s | codes 83.1 % | "
        + "12 min 05 s left")
  }

  @Test func whatIsUnknownIsLeftOut() {
    #expect(Progress(step: 1, totalSteps: 9, terms: []).text == "step 1/9")
  }

  @Test func aLogFileGetsOneLinePerReport() {
    var line = ProgressLine(isTerminal: false)
    #expect(line.report(progress) == progress.text + "\n")
    #expect(line.message("saved") == "saved\n")
    #expect(line.finish() == "")
  }

  @Test func aTerminalGetsOneLineThatIsOverwritten() {
    var line = ProgressLine(isTerminal: true, columnCount: 20)
    #expect(line.report(progress) == "\rstep  120/3000 | lo\u{1B}[K")
    #expect(line.message("saved") == "\nsaved\n")
    #expect(line.message("again") == "again\n")
    #expect(line.report(progress).hasPrefix("\r"))
    #expect(line.finish() == "\n")
  }

  @Test(arguments: [
    (0.4, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599, "59 min 59 s"), (3600, "1 h 00 min"),
    (86_399, "23 h 59 min"), (266_400, "3 d 02 h"),
  ])
  func durationsAreCoarse(seconds: Double, text: String) { #expect(coarseText(.seconds(seconds)) == text) }

  @Test(arguments: [
    (0.0, "0"), (4.3125, "4.312"), (-0.5, "-0.5000"), (12.345, "12.35"), (431.21, "431.2"), (5000, "5000"),
    (1.23e-7, "1.230e-07"), (.nan, "nan"), (.infinity, "inf"),
  ])
  func valuesShowTheDigitsThatMatter(value: Double, text: String) {
    #expect(Progress(step: 1, totalSteps: 1, terms: [("x", value)]).text == "step 1/1 | x \(text)")
  }

  @Test func thePaceFollowsTheNewestSteps() {
    var pace = Pace()
    #expect(pace.imagesPerSecond == nil)
    #expect(pace.timeLeft(steps: 5) == nil)
    pace.record(images: 8, duration: .seconds(2))
    #expect(pace.imagesPerSecond == 4)
    #expect(pace.timeLeft(steps: 5) == .seconds(10))
    for _ in 0..<200 { pace.record(images: 8, duration: .seconds(1)) }
    #expect(abs((pace.imagesPerSecond ?? 0) - 8) < 1e-6)
  }
}
