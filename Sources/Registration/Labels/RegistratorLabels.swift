// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Docker
import Registry
import ServiceModel

/// Registrator's labels of one container: `SERVICE_NAME` for all of its published ports, `SERVICE_6379_NAME` for one,
/// whatever its transport.
///
/// As registrator 7 reads them: names in any case, a port's own before the container's, and of those a label before a
/// variable of the environment. An empty one is none, but hides those that come after it. Of variables only those count that
/// mean something: whoever runs a database next to a service may well call its password SERVICE_PASSWORD, and not even a
/// name is shown in a log that cannot be used.
struct RegistratorLabels: Sendable {
    private static let prefix = "SERVICE_"
    private static let udpTag = "udp"
    private static let names: Set = ["name", "id", "tags", "ignore"]

    private struct Given {
        let label: String
        let value: String
        /// Whether it is one of the environment.
        var isVariable = false

        func problem(_ allowed: String) -> LabelProblem {
            LabelProblem(label, value: isVariable ? "not shown, of the environment" : value, allowed: allowed)
        }
    }

    /// By name in lower case.
    private var general: [String: Given] = [:]
    private var ofPorts: [UInt16: [String: Given]] = [:]
    private let image: String
    private let isPublished: Set<PortLabel>

    init(_ container: Container, _ rules: LabelRules) {
        image = rules.compatibility == .registrator ? container.image : ""
        // Registrator's own addresses of containers (-internal) need no publishing either.
        let ports = container.ports.filter { rules.network != nil || ($0.binding?.port ?? 0) > 0 }
        isPublished = Set(ports.filter { $0.transport != .sctp }.map { PortLabel($0.number, $0.transport) })
        let variables = rules.compatibility == .registrator ? container.environment : [:]
        for (source, isVariable) in [(variables, true), (container.labels, false)] {
            // In order, since names that differ by case are one.
            let own = source.filter { $0.key.hasPrefix(Self.prefix) }.sorted { $0.key < $1.key }
            for (label, value) in own {
                read(Given(label: label, value: value, isVariable: isVariable))
            }
        }
    }

    private mutating func read(_ given: Given) {
        let key = given.label.dropFirst(Self.prefix.count).lowercased()
        let digits = key.prefix { $0 != "_" }
        let port = digits.count < key.count ? UInt16(digits) : nil
        let name = port == nil ? key : String(key.dropFirst(digits.count + 1))
        guard !given.isVariable || Self.names.contains(name) else { return }
        if let port {
            ofPorts[port, default: [:]][name] = given
        } else {
            general[name] = given
        }
    }

    /// The ports that may be claimed. What a container on the host's network listens on nobody lists: there those that
    /// labels name.
    func ports(of container: Container) -> [PortLabel] {
        guard container.usesHostNetwork else { return isPublished.sorted() }
        return ofPorts.filter { !($0.value["name"]?.value ?? "").isEmpty }.keys.map { PortLabel($0, .tcp) }.sorted()
    }

    /// - Returns: nil when nobody claims it.
    func claim(of port: PortLabel, _ rules: LabelRules) throws(LabelProblem) -> ContainerClaim? {
        let own = ofPorts[port.number] ?? [:]
        let given = general.merging(own) { _, ofPort in ofPort }.filter { !$0.value.value.isEmpty }
        guard given["ignore"] == nil else { return nil }
        var name = given["name"]
        if name == nil { name = try imageName() }
        guard var name else { return nil }
        // The name stands for several ports, so each gets one of its own.
        if isPublished.count > 1, own["name"] == nil {
            name = Given(label: name.label, value: "\(name.value)-\(port.number)", isVariable: name.isVariable)
        }
        let service = try service(name, rules)
        let id = given["id"]
        if let id, !InstanceName.isAllowed(id.value) { throw id.problem(InstanceName.allowedForm) }
        let tags = Self.tags(given["tags"]?.value ?? "") + (port.transport == .udp ? [Self.udpTag] : [])
        let meta = given.filter { !Self.names.contains($0.key) }.mapValues(\.value)
        return ContainerClaim(
            service: service, port: port.number, transport: port.transport,
            fields: RecordFields(tags: tags, meta: meta), instance: id?.value, network: rules.network)
    }

    private func service(_ name: Given, _ rules: LabelRules) throws(LabelProblem) -> ServiceName {
        do throws(LabelProblem) {
            return try rules.service(name.value, label: name.label)
        } catch {
            throw name.problem(error.allowed)
        }
    }

    /// What registrator calls a container that does not say: its image without registry, tag and digest.
    /// - Returns: nil where that is not asked for.
    private func imageName() throws(LabelProblem) -> Given? {
        guard !image.isEmpty else { return nil }
        let last = image.split(separator: "/").last ?? ""
        let name = last.prefix { $0 != ":" && $0 != "@" }
        // Who makes a container of an image's id has given it no name.
        guard !name.isEmpty, !image.hasPrefix("sha256:") else {
            throw LabelProblem("SERVICE_NAME", value: "", allowed: "a name: the container's image has none")
        }
        return Given(label: "SERVICE_NAME", value: String(name))
    }

    /// With commas between; `\,` is a comma of a tag. Empty ones are left out.
    private static func tags(_ text: String) -> [String] {
        var tags: [String] = []
        var tag = ""
        var rest = text[...]
        while let character = rest.popFirst() {
            if character == "\\", rest.first == "," {
                tag.append(",")
                rest.removeFirst()
            } else if character == "," {
                tags.append(tag)
                tag = ""
            } else {
                tag.append(character)
            }
        }
        return (tags + [tag]).filter { !$0.isEmpty }
    }
}
