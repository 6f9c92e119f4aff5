// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Docker
package import Registry
package import ServiceModel

/// One instance that this process publishes.
package struct Registration: Sendable, Hashable {
    package let service: ServiceName
    /// Where others reach it.
    package let endpoint: Endpoint
    /// What the operator adds.
    package let fields: RecordFields
    /// The last part of its key: `instanceName(node:host:port:)`, or what `--instance` says.
    package let instance: String
    /// The container that it is; nil when it was given by its address.
    package let container: String?
    /// `tcp`, `udp` or `sctp`.
    package let proto: String

    /// A registration that could not be read back by anybody.
    package struct Problem: Error, Hashable, CustomStringConvertible {
        package let description: String
    }

    /// - Throws: when the port is 0, the instance's name is not of its form, or the value would be longer than 4 KiB.
    package init(
        service: ServiceName, endpoint: Endpoint, fields: RecordFields = .none, instance: String,
        container: String? = nil, proto: String = "tcp"
    ) throws(Problem) {
        guard endpoint.port > 0 else {
            throw Problem(description: "\(endpoint): port 0 cannot be published; allowed are 1...65535")
        }
        guard InstanceName.isAllowed(instance) else {
            throw Problem(description: "instance \(instance): allowed is \(InstanceName.allowedForm)")
        }
        self.service = service
        self.endpoint = endpoint
        self.fields = fields
        self.instance = instance
        self.container = container
        self.proto = proto
        // With the longest that the registrator itself adds: node and zone (100 bytes each), state and since.
        let name = String(repeating: "n", count: 100)
        let longest = record(node: name, zone: name, state: .draining, since: "2026-11-22T11:00:00Z")
        guard longest.encoded().count <= InstanceRecord.maximumLength else {
            throw Problem(
                description: "service \(service), instance \(instance): the value would be longer than 4 KiB; "
                    + "allowed are fewer or shorter tags and metadata")
        }
    }

    /// - Throws: when one of its keys would be longer than readers take, or a form cannot name its service.
    package func check(in layout: KeyLayout, also: [SecondForm], node: String) throws(Problem) {
        var keys = [layout.key(service: service, instance: instance, node: node)]
        for form in also {
            guard let key = form.key(service: service, instance: instance) else {
                throw Problem(
                    description: "service \(service): \(form.kind.rawValue) allows \(SecondForm.allowedService)")
            }
            keys.append(key)
        }
        for key in keys where key.utf8.count > KeyLayout.maximumKeyLength {
            throw Problem(
                description: "key \(key): \(key.utf8.count) bytes; allowed are \(KeyLayout.maximumKeyLength)")
        }
    }

    /// `<node>:<host>:<port>`, the name of an instance that was given by its address.
    package static func instanceName(node: String, host: String, port: UInt16) -> String {
        InstanceName.join([node, host, String(port)])
    }

    /// `<node>:<container>:<port>`, for anything but TCP with its transport behind: the name of a container's instance.
    /// It stays the same whatever port of the host a restart gives it.
    /// - Parameter port: inside the container.
    package static func instanceName(
        node: String, container: String, port: UInt16, transport: ContainerPort.Transport
    ) -> String {
        let parts = [node, container, String(port)]
        return InstanceName.join(transport == .tcp ? parts : parts + [transport.rawValue])
    }

    /// What stands in the registry.
    /// - Parameter zone: of the host; what the operator says of this instance goes before.
    package func record(
        node: String, zone: String?, state: InstanceRecord.State, since: String
    ) -> InstanceRecord {
        var record = InstanceRecord(endpoint: endpoint)
        record.zone = zone
        record.container = container
        record.proto = proto
        fields.apply(to: &record)
        record.node = node
        record.state = state
        record.since = since
        return record
    }
}
