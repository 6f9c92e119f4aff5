// SPDX-License-Identifier: Apache-2.0
// Copyright the Legation authors

import Registry
package import ServiceModel

// MARK: Names

/// A value whose host is a name.
struct Named: Sendable {
    let name: String
    /// At an address that means nothing.
    let record: InstanceRecord
    /// Whether the key stands where its last valid value had it, for nothing is known of this name yet.
    var isAwaited = false
}

extension EndpointTable {
    /// Names that one service may have: each is asked for every 30 s.
    package static let maximumNames = 1_000
    /// Addresses of one name that are used; what a round robin of DNS gives has fewer.
    static let maximumAddresses = 64

    /// What has to be looked up, each once.
    package var names: Set<String> { Set(named.values.map(\.name)) }

    /// A name has been looked up. One of which nothing can be found out stays where it was: nobody calls this then.
    /// - Parameter addresses: at least one. Each passes the checks that a literal passes: what was checked is what is
    ///   dialled.
    package mutating func resolved(_ name: String, to addresses: [IPAddress], now: Duration) -> [EndpointAction] {
        let keys = named.filter { $0.value.name == name }.keys.sorted()
        guard !keys.isEmpty else {
            answers[name] = nil
            return []
        }
        let addresses = addresses.prefix(Self.maximumAddresses).sorted()
        guard answers[name] != addresses else { return [] }
        forgetDepartures(now)
        answers[name] = addresses
        for key in keys { settle(key) }
        return finish(now)
    }

    /// A key, and the same at each address of its name.
    func all(_ key: EntryKey) -> [EntryKey] {
        guard !parts.isEmpty, let addresses = parts[key] else { return [key] }
        return [key] + addresses.map { EntryKey(key.text, address: $0) }
    }

    func named(by new: RegistryEntry) -> Named? {
        guard let (name, record) = source.decodeNamed(new.value, key: new.key), record.tcpProblem == nil else {
            return nil
        }
        return Named(name: name, record: record)
    }

    /// A key says a name now. What it said before is used until it is known what the name stands for, as with any
    /// value that is of no use: it may be a typing error. One that is to take no new connections leaves at once,
    /// whatever its name.
    mutating func follow(_ key: EntryKey, _ new: Named, _ entry: Entry, _ old: Entry?) {
        var (entry, new) = (entry, new)
        let before = named[key]
        let isOther = before.map { $0.name != new.name || $0.isAwaited } ?? (old?.member != nil)
        let isWilling = new.record.state == .up && new.record.weight > 0
        if isOther, answers[new.name] == nil, isWilling {
            new.isAwaited = true
            entry.member = old?.member
        } else if isOther, answers[new.name] == nil {
            drop(parts[key] ?? [], of: key)
        }
        guard named[key] != nil || named.count < Self.maximumNames else {
            entry.problem = .tooMany
            return place(key, old, entry)
        }
        named[key] = new
        if let before, before.name != new.name { forgetAnswer(for: before.name) }
        if answers[new.name] == nil {
            entry.problem = parts[key] == nil || new.isAwaited ? .unresolved : nil
            actions.append(.resolve(name: new.name))
        }
        place(key, old, entry)
        if !new.isAwaited { settle(key) }
    }

    private mutating func forgetAnswer(for name: String) {
        if !named.values.contains(where: { $0.name == name }) { answers[name] = nil }
    }

    /// A key says no name any more.
    mutating func unfollow(_ key: EntryKey) {
        guard !parts.isEmpty || !named.isEmpty else { return }
        drop(parts[key] ?? [], of: key)
        forgetName(of: key)
    }

    /// An entry has gone: of a name, or of one of its addresses.
    mutating func forgetName(of key: EntryKey) {
        if let address = key.address {
            let whole = EntryKey(key.text)
            parts[whole]?.removeAll { $0 == address }
            if parts[whole]?.isEmpty == true { parts[whole] = nil }
        } else if let old = named.removeValue(forKey: key) {
            forgetAnswer(for: old.name)
        }
    }

    /// Has a key stand at the addresses that its name has now, and at no other.
    private mutating func settle(_ key: EntryKey) {
        guard let named = named[key], let whole = entries[key] else { return }
        let addresses = answers[named.name] ?? parts[key] ?? []
        drop((parts[key] ?? []).filter { !addresses.contains($0) }, of: key)
        for address in addresses {
            let part = EntryKey(key.text, address: address)
            let old = entries[part]
            var entry = Entry(lease: whole.lease, modRevision: whole.modRevision)
            do throws(SkipReason) {
                let isNew = old?.member == nil
                entry.member = try member(
                    named.record.at(address), key: key.text, isNew: isNew, modRevision: whole.modRevision)
                if let member = entry.member, ownEndpoints.contains(member.endpoint) { entry.problem = .ownListener }
            } catch {
                entry.problem = error
            }
            place(part, old, entry)
        }
        parts[key] = addresses.isEmpty ? nil : addresses
        guard !addresses.isEmpty else { return }
        self.named[key]?.isAwaited = false
        guard whole.problem == .unresolved || whole.member != nil else { return }
        // The literal that stood here before is out of use now that its place is taken.
        var known = whole
        known.problem = nil
        known.member = nil
        replace(key, whole, with: known)
        move(key, from: whole.member, to: nil)
    }

    private mutating func drop(_ addresses: [IPAddress], of key: EntryKey) {
        for address in addresses {
            let part = EntryKey(key.text, address: address)
            guard let old = entries[part] else { continue }
            replace(part, old, with: nil)
            move(part, from: old.member, to: nil)
            forgetName(of: part)
        }
    }
}
