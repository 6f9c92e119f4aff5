// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Services that a host's containers may claim (`--allow-service`): one, or all whose names begin alike.
package struct ServicePattern: Sendable, Hashable, CustomStringConvertible {
    /// What an error message says of the allowed form.
    package static let allowedForm = "a service's name, or the beginning of one with * behind it (shop/*, redis-*, *)"

    package let description: String
    /// Without the star.
    private let beginning: Substring
    private let isWhole: Bool

    /// - Returns: nil when `text` is not of the allowed form.
    package init?(_ text: String) {
        isWhole = !text.hasSuffix("*")
        beginning = isWhole ? text[...] : text.dropLast()
        description = text
        // Whatever ends the beginning well is the end of a name: a beginning is one that such an end makes a name.
        let example = isWhole ? text : String(beginning) + "x"
        guard ServiceName(example) != nil else { return nil }
    }

    /// The star stands for anything, slashes too, and for nothing.
    package func allows(_ service: ServiceName) -> Bool {
        isWhole ? service.description == description : service.description.utf8.starts(with: beginning.utf8)
    }
}
