public import DataLoading
import Evaluation
import Foundation

/// A picture of what a model will see: each image, then each view of it in several epochs.
public struct ViewGrid {
  private let options: LoaderOptions
  private let dataset: any ImageDataset

  /// - Parameters:
  ///   - recipe: Its training views are shown, those of the alignment included.
  ///   - dataset: The images to show some of.
  public init(recipe: TokenizerRecipe, dataset: any ImageDataset) {
    let alignmentViews = recipe.alignment.loss.map { recipe.alignment.views(withTeacher: $0.needsTeacher) }
    options = loaderOptions(recipe, batchSize: 1, isTraining: true, otherViews: alignmentViews ?? [])
    self.dataset = dataset
  }

  /// Draws the picture.
  /// - Parameters:
  ///   - imageCount: Images, evenly spread over the data set.
  ///   - epochCount: How often each view of an image is shown.
  /// - Throws: `DataError` for an image that cannot be used.
  public func picture(imageCount: Int, epochCount: Int) throws(DataError) -> PixelImage {
    let shown = min(imageCount, dataset.count)
    var images: [PixelImage] = []
    var labels: [String] = []
    let largest = options.views.map(\.resolution).max() ?? 1
    for position in 0..<shown {
      let sample = position * dataset.count / shown
      let image = try dataset.image(at: sample)
      // The whole image, as large as the views.
      let scale = min(1, Double(largest) / Double(max(image.width, image.height)))
      images.append(
        image.resized(
          width: max(1, Int(Double(image.width) * scale)), height: max(1, Int(Double(image.height) * scale))))
      labels.append("\(image.width)x\(image.height) \(className(of: sample))")
      for view in options.views.indices {
        for epoch in 0..<epochCount {
          images.append(options.picture(of: image, view: view, sample: sample, epoch: epoch))
          labels.append(options.views.count > 1 ? "view \(view + 1), epoch \(epoch)" : "epoch \(epoch)")
        }
      }
    }
    return LabelledGrid(
      title: "What the model sees of \(shown) images", images: images, labels: labels,
      columns: 1 + options.views.count * epochCount
    ).image()
  }

  private func className(of sample: Int) -> String {
    dataset.classNames.isEmpty ? "" : dataset.classNames[Int(dataset.label(of: sample))]
  }
}
