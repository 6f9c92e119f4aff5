// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// A network of a test's own, of loopback alone, in which packets can be made to vanish or be refused. Whoever is put in
/// at `address(1)` and above has an address to itself, by which the firewall tells them apart.
package struct FaultyNetwork: Sendable {
    package let stage: Stage
    package let holder: ProcessUnderTest

    /// Packets are looked at where they arrive: their senders have sent them, as on a network that loses them. Each
    /// connect that meets a fault is remembered by its two ends.
    fileprivate static let firewall = """
        add table inet faults
        add chain inet faults arriving { type filter hook input priority 0 ; }
        add set inet faults callers { type ipv4_addr . inet_service . inet_service ; timeout \(memory)h ; }
        """
    /// Hours for which a connect is remembered: by what is left of them, the kernel says when it came.
    private static let memory = 1
    private static let remember = "add @callers { ip daddr . tcp dport . tcp sport }"
    /// Of the packets, those that ask for a connection.
    private static let connects = "tcp flags & (syn | ack) == syn"

    package var network: Network { .of(holder) }

    /// 127.0.1.`number`.
    /// - Parameter number: 1...254
    package func address(_ number: Int) -> IPAddress { IPAddress(v4: 0x7f00_0100 + UInt32(number)) }

    /// A backend at an address of its own.
    package func backend(
        _ number: Int, port: UInt16 = 0, _ serve: @escaping @Sendable (TCPConnection) throws -> Void
    ) async throws -> Backend {
        try await stage.backend(on: address(number), port: port, in: network, serve)
    }

    // MARK: - Faults

    /// Whatever is sent to these vanishes.
    package func blackhole(_ endpoints: Endpoint...) async throws {
        for endpoint in endpoints {
            try await rules("\(Self.connects) \(to(endpoint)) \(Self.remember)", "\(to(endpoint)) drop")
        }
    }

    /// Connects to it are answered by a reset; connections live on.
    package func refuse(_ endpoint: Endpoint) async throws {
        try await rules("\(Self.connects) \(to(endpoint)) \(Self.remember) reject with tcp reset")
    }

    /// The ends of a connection vanish for each other.
    /// - Parameter connection: either end.
    package func cut(_ connection: TCPConnection) async throws {
        guard let one = connection.localEndpoint, let other = connection.remoteEndpoint else {
            throw Unexpected("a connection that is over cannot be cut")
        }
        try await rules("\(from(one)) \(to(other)) drop", "\(from(other)) \(to(one)) drop")
    }

    private func from(_ endpoint: Endpoint) -> String { "ip saddr \(endpoint.address) tcp sport \(endpoint.port)" }
    private func to(_ endpoint: Endpoint) -> String { "ip daddr \(endpoint.address) tcp dport \(endpoint.port)" }

    /// Ends all of it.
    package func heal() async throws { try await nft("flush chain inet faults arriving") }

    /// Connects to it that have vanished or were refused, each counted once however often it was sent.
    package func callers(of endpoint: Endpoint) async throws -> Int { try await calls(of: endpoint).count }

    /// When each of them came, in their order, as the kernel noted it: how long one came after another is right to
    /// 10 ms, however late this looks.
    package func calls(of endpoint: Endpoint) async throws -> [ContinuousClock.Instant] {
        try await calls(ofEach: [endpoint])[0]
    }

    /// The same of several, by one look: how long a call of one came after that of another is right, too.
    package func calls(ofEach endpoints: [Endpoint]) async throws -> [[ContinuousClock.Instant]] {
        let said = try await nft("list set inet faults callers")
        let now = ContinuousClock.now
        return endpoints.map { endpoint in
            // "127.0.1.1 . 80 . 47620 expires 59m56s880ms"
            let entries = said.split(separator: "\(endpoint.address) . \(endpoint.port) . ").dropFirst()
            return entries.map { entry in
                let left = entry.prefix { $0 != "," && $0 != "}" }.matches(of: /(\d+)(h|ms|m|s)/)
                    .reduce(Duration.zero) { $0 + Self.duration($1.1, $1.2) }
                return now + left - .seconds(3600 * Self.memory)
            }.sorted()
        }
    }

    private static func duration(_ number: Substring, _ unit: Substring) -> Duration {
        let milliseconds = ["h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1]
        return .milliseconds((Int(number) ?? 0) * (milliseconds[String(unit)] ?? 0))
    }

    private func rules(_ rules: String...) async throws {
        try await nft(rules.map { "add rule inet faults arriving \($0)" }.joined(separator: "\n"))
    }

    @discardableResult
    fileprivate func nft(_ commands: String) async throws -> String {
        try await run("nft", commands)
    }

    private func run(_ words: String...) async throws -> String {
        let outcome = try await stage.run(Command(words[0], Array(words.dropFirst()), networkOf: holder))
        guard outcome.succeeded else { throw MissingPart("\(outcome)") }
        return outcome.output
    }

    /// Local ports that connects may take, of which each pair of addresses has its own.
    package func setLocalPorts(_ ports: ClosedRange<UInt16>) async throws {
        let setting = "/proc/sys/net/ipv4/ip_local_port_range"
        _ = try await run("sh", "-c", "echo \(ports.lowerBound) \(ports.upperBound) > \(setting)")
    }

    // MARK: - Sockets

    /// The sockets that a filter of ss(8) lets through, one a line.
    package func sockets(_ filter: String) async throws -> [String] {
        try await run("ss", "-Htan", filter).split(separator: "\n").map(String.init)
    }

    /// Ends the sockets that a filter lets through (`ss -K`) without a word of their owners.
    /// - Returns: how many.
    @discardableResult
    package func destroy(_ filter: String) async throws -> Int {
        try await run("ss", "-HtnK", filter).split(separator: "\n").count
    }
}

extension Stage {
    package func faultyNetwork() async throws -> FaultyNetwork {
        let faults = FaultyNetwork(stage: self, holder: try await network())
        try await faults.nft(FaultyNetwork.firewall)
        return faults
    }
}

/// A stage with a network for `body` whose packets can be made to vanish; the parameters are those of `withStage`.
@discardableResult
package func withFaultyNetwork<Result>(
    _ load: Load = .short, test: String = #function, _ body: (FaultyNetwork) async throws -> Result
) async throws -> Result {
    try await withStage(load, test: test) { stage in try await body(stage.faultyNetwork()) }
}
