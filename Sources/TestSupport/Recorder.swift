// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Synchronization

/// Collects what threads and tasks of a test have to tell, in the order of their telling.
package final class Recorder<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    package init() {}

    package func record(_ value: Value) { values.withLock { $0.append(value) } }
    package var all: [Value] { values.withLock { $0 } }

    /// The first so many, waited for.
    package func first(_ count: Int = 1, _ what: String, within limit: Duration = .seconds(20)) async throws -> [Value]
    {
        try await waitForValue("\(what); so far: \(all)", within: limit) {
            let all = all
            return all.count >= count ? Array(all.prefix(count)) : nil
        }
    }
}
