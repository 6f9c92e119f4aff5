// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Registry

/// Where what a process knew last outlives it.
package protocol LastGoodStore: Sendable {
    /// Which registry and links the words are about.
    var origin: LastGood.Origin { get }

    /// - Returns: nil when nothing was ever saved.
    /// - Throws: why what is there is not used, in words.
    func load() throws -> LastGood?

    /// Replaces what is there as a whole, or not at all.
    /// - Throws: why not, in words.
    func save(_ lastGood: LastGood) throws
}
