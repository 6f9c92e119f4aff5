// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A version of the Engine API, `1.41`.
package struct APIVersion: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let major: Int
    package let minor: Int

    package init(_ major: Int, _ minor: Int) {
        self.major = major
        self.minor = minor
    }

    /// - Returns: nil for anything but two numbers with a point between them.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ part in part.utf8.allSatisfy { (48...57).contains($0) } }),
            let major = Int(parts[0]), let minor = Int(parts[1])
        else { return nil }
        self.init(major, minor)
    }

    /// Of Docker 19.03: older engines are refused by today's own clients too.
    package static let oldest = APIVersion(1, 40)
    /// The newest whose published description we have read.
    package static let newest = APIVersion(1, 52)

    /// The version to speak with an engine that knows `own` at most.
    /// - Throws: `.tooOld`.
    package static func negotiated(with own: APIVersion) throws(DockerError) -> APIVersion {
        guard own >= oldest else {
            throw DockerError(
                .tooOld, "the container engine's API version is \(own); \(oldest) is the oldest that is supported")
        }
        return min(own, newest)
    }

    package static func < (left: Self, right: Self) -> Bool { (left.major, left.minor) < (right.major, right.minor) }

    package var description: String { "\(major).\(minor)" }
}
