// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

package import Logging
package import Registry
package import ServiceModel

/// `legation drain SERVICE INSTANCE`, `legation weight SERVICE INSTANCE WEIGHT`, `legation undo SERVICE INSTANCE`.
package struct OverrideConfiguration: Sendable {
    package static let allowedInstance = "the last part of a key that legation services shows, or *"

    private static let durations: ClosedRange<Duration> = .seconds(1) ... .seconds(720 * 3600)
    private static let longestName = 100

    package let etcd: EtcdAccess
    package let logLevel: Logger.Level
    package let service: ServiceName
    /// `*` for all.
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
        let names = ["SERVICE", "INSTANCE"] + (command == .weight ? ["WEIGHT"] : [])
        let weights = "\(InstanceRecord.weights.lowerBound) to \(InstanceRecord.weights.upperBound)"
        let forms = [ServiceName.allowedForm, Self.allowedInstance, weights]
        guard arguments.count >= names.count else {
            throw UsageError(missing: names[arguments.count], allowed: forms[arguments.count])
        }
        guard arguments.count == names.count else {
            throw UsageError("argument", value: arguments[names.count], allowed: names.joined(separator: " "))
        }
        guard let service = ServiceName(arguments[0]) else {
            throw UsageError(names[0], value: arguments[0], allowed: forms[0])
        }
        guard Self.isInstance(arguments[1]) else {
            throw UsageError(names[1], value: arguments[1], allowed: forms[1])
        }
        self.service = service
        instance = arguments[1]
        switch command {
        case .drain: word = .draining
        case .weight:
            guard let weight = RecordFields.weight(arguments[2]) else {
                throw UsageError(names[2], value: arguments[2], allowed: forms[2])
            }
            word = .weight(weight)
        default: word = nil
        }
        lasts = try settings.duration(.lasts, in: Self.durations)
        by = try settings.value(.by) { Self.isName($0) ? $0 : nil } ?? Self.caller(settings.environment)
        etcd = try EtcdAccess(settings: settings)
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
