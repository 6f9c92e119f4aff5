// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// A key of the registry, or an instance's part of it, compared by its bytes; of one whose value is a name, also each
/// of that name's addresses.
///
/// Swift's strings are equal when they look the same; keys are not: two spellings of é are two instances.
package struct EntryKey: Sendable, Hashable, Comparable {
    package let text: String
    /// Nil for the key itself.
    package let address: IPAddress?

    package init(_ text: String, address: IPAddress? = nil) {
        self.text = text
        self.address = address
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.address == right.address && left.text.utf8.elementsEqual(right.text.utf8)
    }

    package static func < (left: Self, right: Self) -> Bool {
        if left.text.utf8.lexicographicallyPrecedes(right.text.utf8) { return true }
        guard left.text.utf8.elementsEqual(right.text.utf8), let address = right.address else { return false }
        return left.address.map { $0 < address } ?? true
    }

    package func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(address)
    }
}
