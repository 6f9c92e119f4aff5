// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation

extension EtcdProcess {
    /// What the member has counted: the sum of the lines of `/metrics` that begin with a name and contain all of `labels`.
    package func metric(_ name: String, _ labels: String...) async throws -> Int {
        let endpoint = endpoint
        let answer = try await place.run {
            String(decoding: try HTTPExchange.get("/metrics", from: endpoint, limit: .seconds(10)), as: UTF8.self)
        }
        let lines = answer.split(separator: "\n").filter { line in
            line.hasPrefix(name) && labels.allSatisfy { line.contains($0) }
        }
        let counts: [Double] = lines.compactMap { line in line.split(separator: " ").last.flatMap { Double($0) } }
        return counts.reduce(0) { sum, count in sum + Int(count) }
    }
}
