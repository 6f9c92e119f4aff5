// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import TestSupport
import Testing

/// Engines that end and start again, under `register --labels`.
@Suite(.tags(.integration), .untilHung)
struct LabOutageTests {
    /// A killed engine leaves its containers running, and ends them when it is started again.
    @Test(.row("R1", "R3")) func anEngineThatIsKilledAndStartedAgainIsFollowed() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            for name in ["always", "never"] {
                try await host.labelled(name, name == "always" ? ["--restart", "always"] : [])
            }
            let process = try await host.registerLabels()
            try await lab.equals(host, count: 2)
            try await lab.withChanges("/services/") { changes in
                try await host.engine("kill")
                try await process.firstLine(containing: "container engine cannot be reached")
                #expect(changes.all.isEmpty)
                try await host.engine("start")
                try await process.firstLine(containing: "container engine answers again")
            }
            try await lab.equals(host, count: 1)
        }
    }

    /// An engine that is stopped in good order takes its containers along.
    @Test(.row("R3")) func anEngineThatIsStoppedWithItsContainersIsFollowed() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            for name in ["always", "never"] {
                try await host.labelled(name, name == "always" ? ["--restart", "always"] : [])
            }
            let process = try await host.registerLabels()
            try await lab.equals(host, count: 2)
            try await host.engine("stop")
            try await process.firstLine(containing: "container engine cannot be reached")
            try await host.engine("start")
            try await process.firstLine(containing: "container engine answers again")
            try await lab.equals(host, count: 1)
        }
    }

    /// With `live-restore` containers outlive their engine, and nobody is to see anything: neither a delete nor `draining`.
    @Test(.row("R3"), arguments: ["kill", "stop"])
    func underLiveRestoreNothingIsSeenOfAnEngineThatIsAway(verb: String) async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            try await host.restoresLive()
            try await host.labelled("plain")
            try await host.checked("checked")
            let process = try await host.registerLabels()
            try await lab.equals(host, count: 2)
            let before = try await lab.keys("/services/")
            let ids = try await host.shown()
            try await lab.withChanges("/services/") { changes in
                for round in 0..<2 {
                    let said = process.lines.count
                    try await host.engine(verb)
                    try await process.firstLine(containing: "container engine cannot be reached", after: said)
                    try await host.engine("start")
                    try await process.firstLine(containing: "container engine answers again", after: said)
                    // Whatever the engine told of its return has been listed twice: this comes after it.
                    try await host.labelled("after\(round)")
                    let key = host.key(of: "after\(round)")
                    _ = try await changes.first("what came after") { $0.key.key == key }
                    try await host.docker("rm", "-f", "after\(round)")
                    _ = try await changes.deletion(of: key)
                }
                let old = changes.all.filter { change in before.contains { $0.key == change.key.key } }
                #expect(old.isEmpty, "\(old.map(\.key))")
            }
            #expect(try await host.shown() == ids, "the containers are the same")
            try await lab.equals(host, count: 2)
        }
    }
}

extension LabHost {
    /// Lets containers outlive the host's engine.
    fileprivate func restoresLive() async throws {
        let script = #"""
            sed -i '1a "live-restore": true,' /etc/docker/daemon.json && kill -HUP "$(cat /run/lab/dockerd.pid)"
            """#
        let outcome = try await run("sh", "-c", script)
        guard outcome.succeeded else { throw Unexpected("\(outcome)") }
        try await waitFor("live-restore") {
            try await docker("info", "--format", "{{.LiveRestoreEnabled}}") == "true"
        }
    }
}
