// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What an operator adds to a record on the command line, `KEY=VALUE` each.
///
/// A key that names a field of the record sets that field, any other goes to `meta`. What only the registrator may say
/// (where, who, since when) is refused.
package struct RecordFields: Sendable, Hashable {
    /// An argument that cannot be used.
    package struct Problem: Error, Hashable, CustomStringConvertible {
        package let argument: String
        package let allowedForm: String

        package var description: String { "\(argument): allowed is \(allowedForm)" }
    }

    /// Fields that only the registrator sets.
    package static let reserved = ["v", "host", "port", "node", "state", "since", "meta"]

    private enum Assignment: Hashable {
        case proto(String)
        case container(String)
        case zone(String)
        case weight(Int)
        case priority(Int)
        case tags([String])
        case meta(String, JSONValue)
    }

    private let assignments: [Assignment]

    package static let none = RecordFields(assignments: [])

    private init(assignments: [Assignment]) { self.assignments = assignments }

    /// - Throws: the first argument that is not `KEY=VALUE`, names a reserved field, stands twice or has a value that
    ///   its field does not allow.
    package init(arguments: [String]) throws(Problem) {
        var assignments: [Assignment] = []
        var names: Set<Substring> = []
        for argument in arguments {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, !parts[0].isEmpty else {
                throw Problem(argument: argument, allowedForm: "KEY=VALUE")
            }
            guard names.insert(parts[0]).inserted else {
                throw Problem(argument: argument, allowedForm: "each KEY once")
            }
            assignments.append(try Self.assignment(argument, String(parts[0]), String(parts[1])))
        }
        self.assignments = assignments
    }

    /// The same from labels: each where it belongs, whatever it is called.
    /// - Parameter meta: values of digits become numbers, as with arguments.
    package init(weight: Int? = nil, priority: Int? = nil, tags: [String] = [], meta: [String: String] = [:]) {
        var assignments = [weight.map(Assignment.weight), priority.map(Assignment.priority)].compactMap(\.self)
        if !tags.isEmpty { assignments.append(.tags(tags)) }
        for (name, value) in meta.sorted(by: { $0.key < $1.key }) {
            assignments.append(.meta(name, Self.number(value) ?? .string(value)))
        }
        self.assignments = assignments
    }

    /// A weight, as text; nil when it is none.
    package static func weight(_ text: String) -> Int? {
        number(text)?.integer.flatMap { InstanceRecord.weights.contains($0) ? $0 : nil }
    }

    /// A priority, as text; nil when it is none.
    package static func priority(_ text: String) -> Int? { number(text)?.integer }

    /// Tags with commas between; nil when one is empty.
    package static func tags(_ text: String) -> [String]? {
        let tags = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        return tags.contains("") ? nil : tags
    }

    /// Sets what the arguments said.
    package func apply(to record: inout InstanceRecord) {
        for assignment in assignments {
            switch assignment {
            case .proto(let proto): record.proto = proto
            case .container(let container): record.container = container
            case .zone(let zone): record.zone = zone
            case .weight(let weight): record.weight = weight
            case .priority(let priority): record.priority = priority
            case .tags(let tags): record.tags = tags
            case .meta(let name, let value): record.meta[name] = value
            }
        }
    }

    private static func assignment(
        _ argument: String, _ name: String, _ value: String
    ) throws(Problem) -> Assignment {
        func problem(_ form: String) -> Problem { Problem(argument: argument, allowedForm: form) }
        switch name {
        case "weight":
            guard let weight = weight(value) else { throw problem("weight=0...1000") }
            return .weight(weight)
        case "priority":
            guard let priority = priority(value) else { throw problem("priority=INTEGER of 0 or more") }
            return .priority(priority)
        case "proto":
            guard ["tcp", "udp"].contains(value) else { throw problem("proto=tcp or proto=udp") }
            return .proto(value)
        case "tags":
            guard let tags = tags(value) else { throw problem("tags=TAG[,TAG…]") }
            return .tags(tags)
        case "container": return .container(value)
        case "zone": return .zone(value)
        case _ where reserved.contains(name):
            throw problem("any KEY but \(reserved.joined(separator: ", ")), which the registrator sets")
        default: return .meta(name, number(value) ?? .string(value))
        }
    }

    /// All digits, no leading zero (which JSON has not), and few enough that no reader's double rounds it.
    private static func number(_ text: String) -> JSONValue? {
        guard (1...15).contains(text.utf8.count), text.utf8.allSatisfy({ (48...57).contains($0) }),
            text.utf8.count == 1 || text.utf8.first != UInt8(ascii: "0")
        else { return nil }
        return .number(text)
    }
}
