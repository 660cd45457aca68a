/// The largest absolute difference between two arrays; infinite where their counts differ or a value is NaN.
func largestDifference(_ values: [Float], _ expected: [Double]) -> Double {
  guard values.count == expected.count else { return .infinity }
  return zip(values, expected).reduce(0) { largest, pair in
    let difference = abs(Double(pair.0) - pair.1)
    return difference.isNaN ? .infinity : max(largest, difference)
  }
}
