// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// When bytes are spliced through a pipe instead of copied twice: for bulk only, since it costs small messages more.
package struct SplicePolicy: Sendable, Hashable {
    /// Never.
    package static let off = SplicePolicy(maxPipes: 0)

    /// Pipes of the whole process, 0...1024; nil for what the descriptors allow, at most 32. Of 1 MiB, an unprivileged
    /// user gets 64 in all its processes (pipe(7), pipe-user-pages-soft).
    package var maxPipes: Int?
    /// Capacity of a pipe, a power of two from 4096 to 1 MiB, more than which an unprivileged user never gets (pipe(7),
    /// pipe-max-size).
    package var pipeBytes: Int
    /// Reads in a row that fill 64 KiB before a direction is taken for bulk, 0...255; with 0 all is spliced.
    package var fullReads: Int

    package init(maxPipes: Int? = nil, pipeBytes: Int = 1 << 20, fullReads: Int = 4) {
        precondition((0...1024).contains(maxPipes ?? 0), "maxPipes is \(maxPipes ?? 0); allowed: 0...1024")
        precondition(
            (4096...1 << 20).contains(pipeBytes) && pipeBytes & (pipeBytes - 1) == 0,
            "pipeBytes is \(pipeBytes); allowed: powers of two from 4096 to 1048576"
        )
        precondition((0...255).contains(fullReads), "fullReads is \(fullReads); allowed: 0...255")
        self.maxPipes = maxPipes
        self.pipeBytes = pipeBytes
        self.fullReads = fullReads
    }
}
