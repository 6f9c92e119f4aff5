// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import ServiceModel
import TestSupport
import Testing

/// `register --labels` on a real engine: containers' own addresses, the host's network, udp, and health.
@Suite(.tags(.integration), .untilHung)
struct LabNetworkTests {
    @Test func aContainersOwnAddressIsPublishedWhileItIsOnThatNetwork() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            try await host.docker("network", "create", "back")
            try await host.redis("redis", ["--label", "legation.service=redis-A", "--label", "legation.network=back"])
            // By its label alone, and by the flag.
            let process = try await host.registerLabels()
            try await host.labelled("other", service: "redis-B")
            _ = try await host.registerLabels(["--network", "back", "--prefix", "/back"])
            let said = "container's port cannot be published"
            let line = try await process.firstLine(containing: said, "container=redis")
            #expect(line.text.contains("no address on the network back"), "\(line)")
            for name in ["redis", "other"] {
                try await host.docker("network", "connect", "back", name)
            }
            let (redis, other) = (try await own("redis", host), try await own("other", host))
            try await lab.awaits(host.key(of: "redis"), at: redis)
            try await lab.awaits("/back/redis-A/hostA:redis:6379", at: redis)
            try await lab.awaits("/back/redis-B/hostA:other:6379", at: other)
            try await lab.awaits("/services/redis-B/hostA:other:6379", at: host.published("other", 6379))
            for name in ["redis", "other"] {
                try await host.docker("network", "disconnect", "back", name)
            }
            try await waitFor("the keys to go") {
                let left = try await lab.keys("/services/").map(\.key)
                return try await lab.keys("/back/").isEmpty && left == ["/services/redis-B/hostA:other:6379"]
            }
        }
    }

    private func own(_ container: String, _ host: LabHost) async throws -> Endpoint {
        let format = "{{.NetworkSettings.Networks.back.IPAddress}}"
        let text = try await host.docker("inspect", "--format", format, container)
        guard let address = IPAddress(text) else { throw Unexpected("docker inspect \(container): \(text)") }
        return Endpoint(address, port: 6379)
    }

    @Test func portsOfTheHostsNetworkAndOfUdpAreEntriesToo() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let labels = ["--label", "legation.service=redis-H", "--label", "legation.port=6400"]
            let words = ["redis:local", "--port", "6400", "--protected-mode", "no"]
            try await host.docker(["run", "-d", "--name", "inside", "--network", "host"] + labels + words)
            let udp = ["-p", "\(host.address)::53/udp", "--label", "legation.53-udp.service=dns", "redis:local"]
            try await host.docker(["run", "-d", "--name", "dns"] + udp)
            _ = try await host.registerLabels()
            try await lab.awaits("/services/redis-H/hostA:inside:6400", at: Endpoint(host.address, port: 6400))
            let said = try await host.docker("port", "dns", "53/udp")
            guard let endpoint = Endpoint(said) else { throw Unexpected("docker port dns: \(said)") }
            try await lab.awaits("/services/dns/hostA:dns:53:udp", at: endpoint)
            #expect(try await lab.key("/services/dns/hostA:dns:53:udp")?.json["proto"] as? String == "udp")
            #expect(try await lab.keys("/services/").count == 2)
        }
    }

    @Test func aHealthCheckThatTurnsDrainsAndBringsBack() async throws {
        try await withLab { lab in
            let host = lab["hostA"]
            let check = ["--health-cmd", "[ ! -s /tmp/ill ]", "--health-interval", "500ms", "--health-retries", "1"]
            try await host.labelled("redis", check)
            let redis = try await host.published("redis", 6379)
            _ = try await host.registerLabels()
            let key = host.key(of: "redis")
            try await lab.awaits(key, at: redis)
            for (script, state) in [("echo ill >/tmp/ill", "draining"), (": >/tmp/ill", "up")] {
                try await host.docker("exec", "-u", "0", "redis", "sh", "-c", script)
                try await lab.awaits(key, at: redis, state: state)
            }
            try await lab.equals(host, count: 1)
        }
    }
}
