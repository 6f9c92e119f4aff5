// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registry
import ServiceModel

/// Our own labels of one container: `legation.NAME` for all of it, `legation.PORT.NAME` for one port, which goes before.
struct ContainerLabels: Sendable {
    private static let prefix = "legation."
    /// Beside `meta.KEY`.
    private static let names = ["service", "port", "weight", "priority", "tags", "network", "address", "instance"]
    private static let allowedNames =
        (names.map { prefix + $0 } + ["\(prefix)meta.KEY"]).joined(separator: ", ")
        + "; but for port, also with a port between: \(prefix)6379.weight, \(prefix)53-udp.service"

    /// A label's value, with its name for whoever has to mend it.
    private struct Given {
        let label: String
        let value: String
    }

    /// By what follows the prefix.
    private var general: [String: Given] = [:]
    private var ofPorts: [PortLabel: [String: Given]] = [:]
    /// Labels that mean nothing, of a container that has claimed something.
    private(set) var unknown: [LabelProblem] = []

    init(_ labels: [String: String]) {
        for (label, value) in labels where label.hasPrefix(Self.prefix) { read(label, value) }
        // The same each time.
        unknown.sort { $0.label < $1.label }
        // One that claims nothing is none of ours, whatever else it says.
        if general["service"] == nil, !ofPorts.values.contains(where: { $0["service"] != nil }) { unknown = [] }
    }

    private mutating func read(_ label: String, _ value: String) {
        let rest = label.dropFirst(Self.prefix.count)
        let first = rest.prefix { $0 != "." }
        let given = Given(label: label, value: value)
        guard let digit = first.utf8.first, (48...57).contains(digit) else {
            guard Self.isKnown(rest) else {
                unknown.append(LabelProblem(label, value: value, allowed: Self.allowedNames))
                return
            }
            general[String(rest)] = given
            return
        }
        let name = rest.dropFirst(first.count + 1)
        guard let port = PortLabel(name: first) else {
            unknown.append(LabelProblem(label, value: value, allowed: PortLabel.allowedNames))
            return
        }
        guard Self.isKnown(name), name != "port" else {
            unknown.append(LabelProblem(label, value: value, allowed: Self.allowedNames))
            return
        }
        ofPorts[port, default: [:]][String(name)] = given
    }

    private static func isKnown(_ name: Substring) -> Bool {
        names.contains(String(name)) || (name.hasPrefix("meta.") && name.utf8.count > "meta.".utf8.count)
    }

    // MARK: Ports

    /// The ports that are claimed, each for one service.
    func claimedPorts(of container: Container, _ problems: inout [LabelProblem]) -> [PortLabel] {
        var ports = Set(ofPorts.filter { $0.value["service"] != nil }.keys)
        do throws(LabelProblem) {
            if let port = try generalPort(of: container) { ports.insert(port) }
        } catch {
            problems.append(error)
        }
        return ports.sorted()
    }

    /// The one that `legation.service` means.
    private func generalPort(of container: Container) throws(LabelProblem) -> PortLabel? {
        guard let service = general["service"] else { return nil }
        if let given = general["port"] {
            guard let port = PortLabel(value: given.value) else {
                throw LabelProblem(given.label, value: given.value, allowed: PortLabel.allowedForm)
            }
            return port
        }
        let exposed = Set(container.ports.filter { $0.transport != .sctp }.map { PortLabel($0.number, $0.transport) })
        guard exposed.count == 1, let port = exposed.first else {
            let ports = exposed.sorted().map(\.labelName).joined(separator: ", ")
            let why = exposed.isEmpty ? "the engine names no port of it" : "the container has several: \(ports)"
            throw LabelProblem(service.label, value: service.value, allowed: "with legation.port beside it; \(why)")
        }
        return port
    }

    // MARK: Claims

    func claim(of port: PortLabel, _ rules: LabelRules) throws(LabelProblem) -> ContainerClaim? {
        let given = general.merging(ofPorts[port] ?? [:]) { _, ofPort in ofPort }
        guard let name = given["service"] else { return nil }
        let service = try rules.service(name.value, label: name.label)
        let weight = try Self.value(given["weight"], "0...1000", RecordFields.weight)
        let priority = try Self.value(given["priority"], "an integer of 0 or more", RecordFields.priority)
        let tags = try Self.value(given["tags"], "TAG[,TAG…]", RecordFields.tags)
        let network = try Self.value(given["network"], "the name of one of the container's networks") { text in
            text.isEmpty ? nil : text
        }
        let address = try Self.value(given["address"], "an IPv4 or IPv6 address") { IPAddress($0)?.description }
        let instance = try Self.value(given["instance"], InstanceName.allowedForm) { text in
            InstanceName.isAllowed(text) ? text : nil
        }
        let meta = given.filter { $0.key.hasPrefix("meta.") }
            .map { (String($0.key.dropFirst("meta.".count)), $0.value.value) }
        return ContainerClaim(
            service: service, port: port.number, transport: port.transport,
            fields: RecordFields(
                weight: weight, priority: priority, tags: tags ?? [],
                meta: Dictionary(meta) { first, _ in first }),
            instance: instance, address: address, network: network ?? rules.network)
    }

    private static func value<Value>(
        _ given: Given?, _ allowed: String, _ parse: (String) -> Value?
    ) throws(LabelProblem) -> Value? {
        guard let given else { return nil }
        guard let value = parse(given.value) else {
            throw LabelProblem(given.label, value: given.value, allowed: allowed)
        }
        return value
    }
}
