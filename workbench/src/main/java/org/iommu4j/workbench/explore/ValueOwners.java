// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.explore;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.iommu4j.host.InputException;
import org.iommu4j.sim.verdict.Owner;
import org.iommu4j.workbench.page.Actor;
import org.iommu4j.workbench.page.Step;
import org.jspecify.annotations.Nullable;

/**
 * Whose the values are that the programs of a page write, so that a value that is read tells whose data it was. A zero
 * is nobody's.
 */
final class ValueOwners {
    private final Script script;

    /** By page of memory and by the number of the value. */
    private final @Nullable Owner[][] owners;

    /**
     * Looks at what all programs write.
     *
     * @throws InputException when two owners write the same value to a page of memory
     */
    ValueOwners(Script script) {
        this.script = script;
        owners = new Owner[script.memory.length][];
        for (int i = 0; i < owners.length; i++) {
            owners[i] = new Owner[script.values[i].length];
        }
        for (int program = 0; program < script.actors.length; program++) {
            for (Script.Op op : script.ops[program]) {
                if (op.value() != 0) {
                    for (Owner owner : ownersOf(script.actors[program])) {
                        add(op, owner);
                    }
                }
            }
        }
    }

    private void add(Script.Op op, Owner owner) {
        int value = script.numberOf(op.memory(), op.value());
        Owner known = owners[op.memory()][value];
        if (known != null && !known.equals(owner)) {
            throw new InputException(script.page.file() + ":" + op.step().line() + ": two owners write "
                    + op.step().argument(1) + " to '" + script.memory[op.memory()]
                    + "', expected values that tell whose they are, to find a leak");
        }
        owners[op.memory()][value] = owner;
    }

    /** Returns the owners for whom an actor may write: a device's change with the virtual machine that has it. */
    private Set<Owner> ownersOf(String name) {
        Actor actor = script.page.actors().get(name);
        Set<Owner> all = new HashSet<>();
        if (actor instanceof Actor.Vcpu vcpu) {
            all.add(Owner.guest(vcpu.vm()));
        } else if (actor instanceof Actor.HostProcess process) {
            all.add(new Owner(process.owner(), false));
        } else if (actor instanceof Actor.Device device) {
            String first = device.vm();
            if (first != null) {
                all.add(Owner.guest(first));
            }
            Map<String, String> hwpts = new HashMap<>();
            for (Step step : script.worldSteps) {
                String vm = switch (step.verb()) {
                    case HOT_ADD, ATTACH -> step.argument(1);
                    case ATTACH_HWPT, TRY_ATTACH_HWPT -> hwpts.get(step.argument(1));
                    case ALLOC -> {
                        hwpts.put(step.argument(0), step.argument(2));
                        yield null;
                    }
                    default -> null;
                };
                if (vm != null && step.argument(0).equals(name)) {
                    all.add(Owner.guest(vm));
                }
            }
        }
        return all.isEmpty() ? Set.of(Owner.HOST) : all;
    }

    /** Returns whether a value of a page of memory is another's than a reader's. */
    boolean isOfAnother(int memory, long value, Owner reader) {
        Owner owner = owners[memory][script.numberOf(memory, value)];
        return owner != null && !owner.equals(reader);
    }
}
