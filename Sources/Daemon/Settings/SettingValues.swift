// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

/// What the operator said for one call: flags before environment before defaults.
package struct SettingValues: Sendable {
    /// One value and where it came from.
    package struct Given: Hashable, Sendable {
        /// `--ttl` or `LEGATION_TTL`: what an error message calls it.
        package let key: String
        package let text: String
    }

    private let flags: [SettingName: [String]]
    /// The process's, for what is not a setting of ours.
    package let environment: [String: String]

    /// - Parameters:
    ///   - flags: every occurrence of every flag; a toggle that was given has the value `true`.
    ///   - environment: the process's; an empty variable counts as not set, because Compose and systemd pass unset
    ///     ones on as empty.
    package init(flags: [SettingName: [String]], environment: [String: String]) {
        self.flags = flags
        self.environment = environment
    }

    /// Every value given for a setting, in order; empty when the default holds.
    /// - Throws: when a setting that takes one value is given twice, or one value of a list is empty.
    package func given(_ name: SettingName) throws(UsageError) -> [Given] {
        let setting = Setting.named(name)
        let (key, texts) = source(of: setting)
        guard case .list = setting.kind else {
            guard texts.count <= 1 else {
                let shown = texts.map(setting.shown).joined(separator: " ")
                throw UsageError(key, value: shown, allowed: "one value, \(setting.allowedForm)")
            }
            return texts.map { Given(key: key, text: $0) }
        }
        let parts = texts.flatMap { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        guard parts.allSatisfy({ !$0.isEmpty }) else {
            throw UsageError(key, value: parts.map(setting.shown).joined(separator: ","), allowed: setting.allowedForm)
        }
        return parts.map { Given(key: key, text: $0) }
    }

    /// The value of a setting that takes one, nil when the default holds.
    /// - Parameter parse: nil for text that is not of the allowed form.
    package func value<Value>(
        _ name: SettingName, _ parse: (String) -> Value?
    ) throws(UsageError) -> Value? {
        guard let given = try given(name).first else { return nil }
        return try Self.parsed(given, name, parse)
    }

    package func values<Value>(
        _ name: SettingName, _ parse: (String) -> Value?
    ) throws(UsageError) -> [Value] {
        var values: [Value] = []
        for given in try given(name) { values.append(try Self.parsed(given, name, parse)) }
        return values
    }

    package func isOn(_ name: SettingName) throws(UsageError) -> Bool {
        try value(name) { text in
            switch text.lowercased() {
            case "true", "1", "yes": true
            case "false", "0", "no": false
            default: nil
            }
        } ?? false
    }

    package func duration(_ name: SettingName, in range: ClosedRange<Duration>) throws(UsageError) -> Duration? {
        try value(name) { text in DurationText.parse(text).flatMap { range.contains($0) ? $0 : nil } }
    }

    private static func parsed<Value>(
        _ given: Given, _ name: SettingName, _ parse: (String) -> Value?
    ) throws(UsageError) -> Value {
        guard let value = parse(given.text) else {
            let setting = Setting.named(name)
            throw UsageError(given.key, value: setting.shown(given.text), allowed: setting.allowedForm)
        }
        return value
    }

    private func source(of setting: Setting) -> (key: String, texts: [String]) {
        if let texts = flags[setting.name], !texts.isEmpty { return (setting.flag, texts) }
        for variable in setting.variables {
            if let text = environment[variable], !text.isEmpty { return (variable, [text]) }
        }
        return (setting.flag, [])
    }
}
