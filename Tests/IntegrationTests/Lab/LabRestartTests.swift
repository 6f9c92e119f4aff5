// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// `register --labels` that is killed and started again.
@Suite(.tags(.integration), .untilHung)
struct LabRestartTests {
    /// Also where a port accepts no connection from its own host, which is not published at once.
    @Test(.row("R9")) func aKilledRegistratorThatIsBackInTimeIsNotMissedAndALateOneComesToTheSameEnd() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            for name in ["one", "two"] { try await host.labelled(name) }
            let silent = ["--label", "legation.service=redis-A", "-p", "\(host.address)::6379", "redis:local"]
            try await host.docker(["run", "-d", "--name", "silent"] + silent + ["--port", "7000"])
            // Long enough for a busy machine to start the next one meanwhile.
            let first = try await host.registerLabels(ttl: "20s")
            try await lab.equals(host, count: 3)
            let former = Set(try await lab.keys("/services/").map(\.lease))
            let second = try await lab.withChanges("/services/") { changes in
                try await first.killAndWait()
                let second = try await host.registerLabels()
                try await waitFor("all of it to be taken over") {
                    try await lab.keys("/services/").filter { !former.contains($0.lease) }.count == 3
                }
                try await waitFor("the former one's lease to end", within: .seconds(60)) {
                    try await lab.keys("/services-nodes/").count == 1
                }
                let deletes = changes.all.filter(\.isDelete)
                #expect(deletes.isEmpty, "\(deletes.map(\.key))")
                return second
            }
            try await lab.equals(host, count: 3)
            try await second.killAndWait()
            try await waitFor("its lease to end") { try await lab.keys("/services/").isEmpty }
            try await host.docker("rm", "-f", "one")
            _ = try await host.registerLabels()
            try await lab.equals(host, count: 2)
        }
    }
}
