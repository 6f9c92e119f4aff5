// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Registry
package import ServiceModel

/// `legation drain SERVICE [INSTANCE]`, `legation weight SERVICE [INSTANCE] WEIGHT`, `legation undo SERVICE
/// [INSTANCE]`.
package struct OverrideConfiguration: Sendable {
    package static let allowedInstance = "the last part of a key that legation services shows, or *"

    private static let durations: ClosedRange<Duration> = .seconds(1) ... .seconds(720 * 3600)
    private static let longestName = 100

    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    package let service: ServiceName
    /// `*` for all, also when none was named.
    package let instance: String
    /// Nil: what was said is undone.
    package let word: OverrideRecord.Word?
    package let by: String
    /// Nil: until it is undone.
    package let lasts: Duration?

    package init(
        _ command: CommandName, arguments: [String], settings: SettingValues
    ) throws(UsageError) {
        logLevel = try settings.logLevel(default: .error)
        var rest = arguments[...]
        guard let name = rest.popFirst() else { throw UsageError(missing: "SERVICE", allowed: ServiceName.allowedForm) }
        guard let service = ServiceName(name) else {
            throw UsageError("SERVICE", value: name, allowed: ServiceName.allowedForm)
        }
        self.service = service
        switch command {
        case .drain: word = .draining
        case .weight: word = .weight(try Self.weight(rest.popLast()))
        default: word = nil
        }
        let instance = rest.popFirst() ?? OverrideRecord.everyInstance
        guard Self.isInstance(instance) else {
            throw UsageError("INSTANCE", value: instance, allowed: Self.allowedInstance)
        }
        self.instance = instance
        if let more = rest.popFirst() {
            let form = "SERVICE [INSTANCE]" + (command == .weight ? " WEIGHT" : "")
            throw UsageError("argument", value: more, allowed: form)
        }
        lasts = try settings.duration(.lasts, in: Self.durations)
        by = try settings.value(.by) { Self.isName($0) ? $0 : nil } ?? Self.caller(settings.environment)
        etcd = try EtcdAccess(settings: settings)
    }

    private static func weight(_ text: String?) throws(UsageError) -> Int {
        let weights = "\(InstanceRecord.weights.lowerBound) to \(InstanceRecord.weights.upperBound)"
        guard let text else { throw UsageError(missing: "WEIGHT", allowed: weights) }
        guard let weight = RecordFields.weight(text) else {
            throw UsageError("WEIGHT", value: text, allowed: weights)
        }
        return weight
    }

    private static func isInstance(_ text: String) -> Bool {
        (1...KeyLayout.maximumKeyLength).contains(text.utf8.count) && !text.utf8.contains(UInt8(ascii: "/"))
    }

    private static func isName(_ text: String) -> Bool {
        (1...longestName).contains(text.utf8.count)
            && text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
    }

    private static func caller(_ environment: [String: String]) -> String {
        let user = [environment["SUDO_USER"], environment["USER"]].compactMap(\.self).first(where: isName)
        return "\(user ?? "somebody")@\(HostFacts.hostName ?? "unknown")"
    }
}
