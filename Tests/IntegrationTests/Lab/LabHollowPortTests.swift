// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// A published port behind which nobody listens: Docker's userland proxy accepts, and ends the connection at once.
@Suite(.tags(.integration), .untilHung)
struct LabHollowPortTests {
    @Test(.row("D3")) func aPublishedPortBehindWhichNobodyListensIsTakenOutOfUse() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            // Towards loopback there is no rule of the firewall that would lead to the container, past the proxy.
            let good = try await host.redis("good", publish: "127.0.0.1::6379")
            let words = ["run", "-d", "--name", "hollow", "-p", "127.0.0.1::6379", "redis:local", "--port", "7000"]
            try await host.docker(words)
            let hollow = try await host.published("hollow", 6379)
            for (name, endpoint) in [("good", good), ("hollow", hollow)] {
                try await lab.putInstance("/services/redis-A/\(name)", endpoint)
            }
            try await waitFor("the hollow one to accept and end") {
                try await RedisProcess.ask("PING", at: hollow, from: host.network) == nil
            }
            let process = try await host.legation([
                "proxy", "--bind", "127.0.0.1", "--allow-target", "127.0.0.0/8", "--etcd", host.etcdURL, "redis-A:0",
            ])
            let endpoint = try await process.listeningEndpoint()
            var meetings = HollowMeetings()
            try await meetings.untilOutOfUse {
                await (try? RedisProcess.ask("PING", at: endpoint, from: host.network)) == "PONG"
            }
            meetings.expectARow()
        }
    }
}
