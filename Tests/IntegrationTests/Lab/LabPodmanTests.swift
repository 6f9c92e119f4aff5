// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Foundation
import ServiceModel
import TestSupport
import Testing

/// `register --labels` on Podman, by its service: the registry is what `podman ps` shows.
@Suite(.tags(.integration), .untilHung)
struct LabPodmanTests {
    @Test(.row("R7")) func theRegistryIsWhatPodmanShows() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let podman = try await host.podman()
            try await podman.labelled("early")
            let process = try await host.registerLabels(socket: podman.socket)
            try await podman.labelled("late", service: "redis-B", ["--label", "legation.weight=7"])
            try await lab.equals(podman, count: 2)
            #expect(try await lab.key("/services/redis-B/hostA:late:6379")?.json["weight"] as? Int == 7)
            try await podman("restart", "-t", "1", "early")
            try await lab.equals(podman, count: 2)
            // Its address is chosen when it is made, so a port that changes is another container.
            try await podman.labelled("early", ["--replace"])
            try await lab.equals(podman, count: 2)
            try await podman("kill", "late")
            try await lab.equals(podman, count: 1)
            #expect(try await podman.ports(of: "late") == 1, "one that has ended lists its ports still")
            try await podman("start", "late")
            try await lab.equals(podman, count: 2)
            try await podman("stop", "-t", "2", "early")
            try await lab.equals(podman, count: 1)
            try await podman("rm", "-f", "-t", "0", "early", "late")
            try await lab.equals(podman, count: 0)
            try process.terminate()
            #expect(try await process.end() == .code(0))
            #expect(try await lab.keys("/services").isEmpty)
        }
    }

    /// Podman's events break off (podman#8751: after some 95 s, when it runs without root), and so does its service.
    @Test(.row("R7", "R1", "S11")) func podmansEventsMayBreakOffAtAnyTime() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let podman = try await host.podman()
            let isAllowed = try AllowList.documented()
            let recorder = try RequestRecorder(
                at: lab.stage.directory() + "/recorder.sock", before: podman.socket, allows: isAllowed)
            defer { recorder.close() }
            for name in ["stays", "goes"] { try await podman.labelled(name) }
            let process = try await host.registerLabels(socket: recorder.path)
            try await lab.equals(podman, count: 2)
            recorder.cut()
            try await process.firstLine(containing: "container engine cannot be reached")
            try await podman("rm", "-f", "-t", "0", "goes")
            try await podman.labelled("new")
            recorder.restore()
            try await lab.equals(podman, count: 2)
            // The service ends, its containers do not.
            let said = process.lines.count
            try await lab.withChanges("/services/") { changes in
                try await podman.service("kill")
                try await process.firstLine(containing: "container engine cannot be reached", after: said)
                try await podman.service("start")
                try await process.firstLine(containing: "container engine answers again", after: said)
                #expect(changes.all.isEmpty, "\(changes.all.map(\.key))")
            }
            try await lab.equals(podman, count: 2)
            for request in recorder.requests { #expect(isAllowed(request), "\(request)") }
        }
    }
}

extension PodmanService {
    /// Starts a Redis that asks to be published.
    fileprivate func labelled(_ name: String, service: String = "redis-A", _ more: [String] = []) async throws {
        let words = ["run", "-d", "--name", name, "-p", "\(host.address)::6379"]
        try await run(words + ["--label", "legation.service=\(service)"] + more + ["redis:local"])
    }

    /// How many ports it lists for a container, running or not.
    fileprivate func ports(of container: String) async throws -> Int {
        try await list(["--all", "--filter", "name=\(container)"]).first?.Ports?.count ?? 0
    }

    /// What is to stand, by what Podman itself shows: keys and addresses of labelled containers that run.
    fileprivate func shown() async throws -> [String: Endpoint] {
        var shown: [String: Endpoint] = [:]
        for one in try await list(["--filter", "label=legation.service"]) {
            guard let name = one.Names.first, let service = one.Labels?["legation.service"],
                let port = one.Ports?.first, let address = IPAddress(port.host_ip)
            else { throw Unexpected("podman ps: \(one)") }
            shown["/services/\(service)/\(host.name):\(name):6379"] = Endpoint(address, port: port.host_port)
        }
        return shown
    }

    private struct Listed: Decodable {
        struct Port: Decodable {
            let host_ip: String
            let host_port: UInt16
        }

        let Names: [String]
        let Labels: [String: String]?
        let Ports: [Port]?
    }

    private func list(_ words: [String]) async throws -> [Listed] {
        try JSONDecoder().decode([Listed].self, from: Data(try await run(["ps", "--format", "json"] + words).utf8))
    }
}

extension Lab {
    /// Waits until the registry has exactly what Podman shows.
    fileprivate func equals(_ podman: PodmanService, count: Int) async throws {
        try await waitFor("the registry to be what podman ps shows", within: .seconds(40)) {
            try await isEqual(podman.shown(), count: count)
        }
    }
}
