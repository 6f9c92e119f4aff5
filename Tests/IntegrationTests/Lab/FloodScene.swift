// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// More happens on a host than its registrator can hear of.
enum FloodScene {
    /// The registrator sleeps, longer than its lease lives, while so many containers come and go; then the registry is what
    /// the engine shows all the same. An engine keeps 256 events, and a container that comes and goes has five.
    static func isSleptThrough(_ containers: Int) async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            for name in ["stays", "goes"] { try await host.labelled(name) }
            let process = try await host.registerLabels()
            try await lab.equals(host, count: 2)
            try process.pause()
            let flood =
                "seq \(containers) | xargs -P 4 -I{} docker run --rm --name flood{} "
                + "--label legation.service=flood redis:local --version"
            let flooded = try await host.run("sh", "-c", flood, within: .seconds(2 * containers))
            #expect(flooded.succeeded, "\(flooded)")
            try await host.docker("rm", "-f", "goes")
            try await host.labelled("new")
            try await waitFor("the lease to end") { try await lab.keys("/services/").isEmpty }
            let woken = ContinuousClock.now
            try process.resume()
            try await eventually(
                "R2: registry right after \(containers) containers came and went", within: .seconds(30), since: woken
            ) {
                try await lab.isEqual(host, count: 2)
            }
        }
    }
}
