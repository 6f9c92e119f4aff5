// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import ServiceModel

/// Which addresses of the registry may be dialled: who may write an entry could otherwise turn every proxy against its
/// own host, a cloud's metadata service or the internet.
package struct TargetPolicy: Sendable, Hashable {
    /// One `--allow-target`: an address block, perhaps some ports of it, perhaps for one service only.
    package struct Rule: Sendable, Hashable, CustomStringConvertible {
        /// What an error message says of the allowed form.
        package static let allowedForm = "[SERVICE=]CIDR[:PORT[-PORT]], an IPv6 CIDR in brackets"

        /// The service that the rule is for; nil: all that have none of their own.
        package let service: ServiceName?
        package let block: CIDR
        package let ports: ClosedRange<UInt16>

        package init(service: ServiceName? = nil, block: CIDR, ports: ClosedRange<UInt16> = 1...65535) {
            self.service = service
            self.block = block
            self.ports = ports
        }

        /// - Returns: nil when `text` is not of the allowed form.
        package init?(_ text: some StringProtocol) {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let target = parts.last else { return nil }
            var service: ServiceName?
            if parts.count == 2 {
                guard let name = ServiceName(parts[0]) else { return nil }
                service = name
            }
            guard let (block, portText) = Self.splitBlock(String(target)) else { return nil }
            guard let portText else {
                self.init(service: service, block: block)
                return
            }
            guard let ports = Self.parsePorts(portText) else { return nil }
            self.init(service: service, block: block, ports: ports)
        }

        package func covers(_ endpoint: Endpoint) -> Bool {
            block.contains(endpoint.address) && ports.contains(endpoint.port)
        }

        package var description: String {
            let head = service.map { "\($0)=" } ?? ""
            let tail =
                ports == 1...65535
                ? "" : ports.count == 1 ? ":\(ports.lowerBound)" : ":\(ports.lowerBound)-\(ports.upperBound)"
            return head + (block.base.isV4 ? "\(block)" : "[\(block)]") + tail
        }

        private static func splitBlock(_ text: String) -> (block: CIDR, ports: Substring?)? {
            if text.hasPrefix("[") {
                guard let close = text.firstIndex(of: "]") else { return nil }
                let inner = text[text.index(after: text.startIndex)..<close]
                let rest = text[text.index(after: close)...]
                guard inner.contains(":"), let block = CIDR(inner), rest.isEmpty || rest.hasPrefix(":") else {
                    return nil
                }
                return (block, rest.isEmpty ? nil : rest.dropFirst())
            }
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count <= 2, let block = CIDR(parts[0]) else { return nil }
            return (block, parts.count == 2 ? parts[1] : nil)
        }

        private static func parsePorts(_ text: Substring) -> ClosedRange<UInt16>? {
            let ends = text.split(separator: "-", omittingEmptySubsequences: false).map { HostPort.parsePort($0) }
            guard ends.count <= 2, let low = ends[0], let high = ends[ends.count - 1], low > 0, low <= high else {
                return nil
            }
            return low...high
        }

        /// Whether the block is loopback and nothing else: `0.0.0.0/0` holds 127.0.0.1 without naming it. (A block
        /// wider than 127.0.0.0/8 has a base outside of it.)
        fileprivate var namesLoopback: Bool { block.base.isLoopback }
    }

    private let general: [Rule]
    private let byService: [ServiceName: [Rule]]
    private let fromOwnMemory: Bool

    /// - Parameters:
    ///   - rules: rules without a service add to the default set; a service with rules of its own accepts only those.
    ///   - fromOwnMemory: the entries come from this process's own memory registry, whose loopback is ours.
    package init(rules: [Rule] = [], fromOwnMemory: Bool = false) {
        general = rules.filter { $0.service == nil }
        var byService: [ServiceName: [Rule]] = [:]
        for rule in rules {
            if let service = rule.service { byService[service, default: []].append(rule) }
        }
        self.byService = byService
        self.fromOwnMemory = fromOwnMemory
    }

    /// - Returns: nil when the endpoint may be dialled for `service`, else why not.
    package func check(_ endpoint: Endpoint, service: ServiceName) -> SkipReason? {
        guard endpoint.port > 0 else { return .port }
        let address = endpoint.address
        guard !Self.refusedAlways.contains(where: { $0.contains(address) }) else { return .forbidden }
        let rules = byService[service]
        if address.isLoopback {
            if (rules ?? general).contains(where: { $0.namesLoopback && $0.covers(endpoint) }) { return nil }
            return fromOwnMemory && rules == nil ? nil : .loopback
        }
        if let rules { return rules.contains { $0.covers(endpoint) } ? nil : .notAllowed }
        if Self.allowedByDefault.contains(where: { $0.contains(address) }) { return nil }
        return general.contains { $0.covers(endpoint) } ? nil : .notAllowed
    }

    /// No rule opens these: "this host" (RFC 1122), link-local with the clouds' metadata service (RFC 3927, 4291),
    /// multicast (RFC 5771, 4291), reserved with broadcast (RFC 1112), unspecified, and AWS's metadata over IPv6.
    private static let refusedAlways = blocks(
        "0.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "::/128", "fe80::/10", "ff00::/8",
        "fd00:ec2::254/128"
    )

    /// Private networks: RFC 1918, unique local addresses (RFC 4193), carrier-grade NAT (RFC 6598).
    private static let allowedByDefault = blocks(
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"
    )

    private static func blocks(_ texts: String...) -> [CIDR] {
        texts.map { text in
            guard let block = CIDR(text) else { preconditionFailure("\(text) is not a block") }
            return block
        }
    }
}
