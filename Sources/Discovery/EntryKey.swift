// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// A key of the registry, compared by its bytes.
///
/// Swift's strings are equal when they look the same; keys are not: two spellings of é are two instances.
struct EntryKey: Sendable, Hashable, Comparable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: Self, right: Self) -> Bool { left.text.utf8.elementsEqual(right.text.utf8) }

    static func < (left: Self, right: Self) -> Bool { left.text.utf8.lexicographicallyPrecedes(right.text.utf8) }

    func hash(into hasher: inout Hasher) {
        var text = text
        text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
}
