// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.iommu4j.workbench.page.Actor.Kind;
import org.iommu4j.workbench.page.Page.Memory;
import org.iommu4j.workbench.scenario.AssignedBy;
import org.iommu4j.workbench.scenario.GuestIommu;
import org.snakeyaml.engine.v2.nodes.Node;

/** The names of a page, and whether each is of what it has to be. */
final class References {
    /** Pages of memory that one owner may have. */
    static final int MAX_PAGES = 16;

    private final YamlNodes yaml;
    private final Map<String, Actor> actors = new LinkedHashMap<>();
    private final Map<String, Node> places = new HashMap<>();
    private final Map<String, Memory> memory = new LinkedHashMap<>();
    private final Map<String, Integer> pages = new HashMap<>();
    private final Set<String> hwpts = new HashSet<>();

    /** Doorbells and interrupts that nobody has awaited yet, as {@code from>to}. */
    private final Map<String, Integer> signals = new HashMap<>();

    private final Set<String> insideWbinvd = new HashSet<>();

    References(YamlNodes yaml) {
        this.yaml = yaml;
    }

    Map<String, Actor> actors() {
        return actors;
    }

    Map<String, Memory> memory() {
        return memory;
    }

    void declare(String name, Node key, Actor actor, Node at) {
        if (Actor.UNDECLARED.containsKey(name) || name.equals(Memory.IOMMU_DRIVER)) {
            throw yaml.unknown(key, "'" + name + "' is always there, expected another name");
        }
        actors.put(name, actor);
        places.put(name, at);
    }

    /** Checks what actors say of each other. A virtual machine that is only named is by type1. */
    void checkActors() {
        Map<String, Actor> declared = new LinkedHashMap<>(actors);
        Set<Actor.Which> devices = new HashSet<>();
        declared.forEach((name, actor) -> {
            Node at = place(name);
            if (actor instanceof Actor.Vcpu vcpu) {
                virtualMachine(vcpu.vm(), at);
            } else if (actor instanceof Actor.Vm vm) {
                if (vm.iommu() != null && vm.by() != AssignedBy.IOMMUFD) {
                    throw yaml.unknown(at, "a virtual machine with an IOMMU of its own, expected by: iommufd");
                }
            } else if (actor instanceof Actor.Device device) {
                if (!devices.add(device.which())) {
                    throw yaml.unknown(at, "a device that another actor is already");
                }
                checkDevice(device, at);
            }
        });
    }

    private void checkDevice(Actor.Device device, Node at) {
        String vm = device.vm();
        String in = device.in();
        if (vm != null) {
            virtualMachine(vm, at);
        }
        if (in != null && !(actors.get(in) instanceof Actor.Domain)) {
            throw yaml.unknown(at, "'" + in + "' is no domain; " + known(Kind.DOMAIN));
        }
        if ((vm != null || in != null) && (device.driver() != Actor.Driver.VFIO_PCI || (vm != null && in != null))) {
            throw yaml.unknown(at, "a device with more than one user, expected one of vm, in, and another driver");
        }
    }

    private void virtualMachine(String name, Node at) {
        Actor actor = actors.computeIfAbsent(name, unused -> new Actor.Vm(AssignedBy.TYPE1, null));
        if (actor.kind() != Kind.VM) {
            throw yaml.unknown(at, "'" + name + "' is " + actor.kind().words() + ", expected a virtual machine");
        }
    }

    private Node place(String name) {
        Node place = places.get(name);
        if (place == null) {
            throw new IllegalStateException("no place of " + name);
        }
        return place;
    }

    void declareMemory(String name, Memory page, Node at) {
        if (page.isOfDriver()) {
            if (page.then() != null || memory.values().stream().anyMatch(Memory::isOfDriver)) {
                throw yaml.unknown(at, "what the driver writes has one name, and is given to nobody");
            }
            memory.put(name, page);
            return;
        }
        Actor owner = actors.get(page.owner());
        boolean owns = owner instanceof Actor.Vm
                || owner instanceof Actor.HostProcess
                || owner instanceof Actor.Domain
                || (owner instanceof Actor.Device device && device.driver() == Actor.Driver.KERNEL);
        if (!owns) {
            throw yaml.unknown(
                    at,
                    "'" + page.owner() + "' has no memory, expected a virtual machine, a process, a domain, a device"
                            + " with driver: kernel, or 'driver' for the IOMMU's");
        }
        String then = page.then();
        if (then != null) {
            if (!(actors.get(then) instanceof Actor.Vm)) {
                throw yaml.unknown(at, "'" + then + "' is no virtual machine; " + known(Kind.VM));
            }
            if (!(owner instanceof Actor.HostProcess)) {
                throw yaml.unknown(at, "only a process' page is given away");
            }
            count(then, at);
        }
        count(page.owner(), at);
        memory.put(name, page);
    }

    private void count(String owner, Node at) {
        boolean hasTable = actors.get(owner) instanceof Actor.Vm vm && vm.iommu() != null;
        int most = hasTable ? MAX_PAGES - GuestIommu.TABLE_PAGES : MAX_PAGES;
        if (pages.merge(owner, 1, Integer::sum) > most) {
            throw yaml.unknown(at, "'" + owner + "' has more than " + most + " pages of memory");
        }
    }

    /** Returns the kind of an actor. */
    Kind kindOf(String name, Node at) {
        Actor actor = Actor.UNDECLARED.getOrDefault(name, actors.get(name));
        if (actor == null) {
            throw yaml.unknown(
                    at,
                    "no actor '" + name + "'; known: " + String.join(", ", actors.keySet())
                            + ", and always vmm, scheduler, hardware");
        }
        return actor.kind();
    }

    private String known(Kind kind) {
        return "known: "
                + actors.entrySet().stream()
                        .filter(entry -> entry.getValue().kind() == kind)
                        .map(Map.Entry::getKey)
                        .collect(Collectors.joining(", "));
    }

    /** Checks the names in a step. */
    Step checked(Step step, Node at) {
        for (int i = 0; i < step.arguments().size(); i++) {
            String name = step.argument(i);
            switch (step.verb().holes().get(i)) {
                case MEMORY -> checkMemory(step, name, at);
                case DEVICE -> require(name, Kind.DEVICE, at);
                case VM -> require(name, Kind.VM, at);
                case VCPU -> require(name, Kind.VCPU, at);
                case ACTOR -> kindOf(name, at);
                case HWPT -> checkHwpt(makesHwpt(step.verb()) && i == 0, name, at);
                case VALUE, TYPE, SWITCH, CPU, QUIRK -> {
                    // The form says all.
                }
            }
        }
        checkOwnIommu(step, at);
        return step;
    }

    private static boolean makesHwpt(Verb verb) {
        return verb == Verb.ALLOC || verb == Verb.ALLOC_PARENT || verb == Verb.NEST;
    }

    /** Only a guest that is shown an IOMMU has what that offers. */
    private void checkOwnIommu(Step step, Node at) {
        boolean needsIt = step.verb() == Verb.MAP_FOR_DEVICES || step.verb() == Verb.INNER_WBINVD;
        if (needsIt
                && actors.get(step.actor()) instanceof Actor.Vcpu vcpu
                && actors.get(vcpu.vm()) instanceof Actor.Vm vm
                && vm.iommu() == null) {
            throw yaml.unknown(at, "'" + vcpu.vm() + "' has no IOMMU of its own, expected one with iommu: plain");
        }
    }

    /** Checks a step against those that were written before it. */
    Step followed(Step step, Node at) {
        checkWbinvd(step, at);
        follow(step, at);
        return step;
    }

    void checkVcpu(String name, Node at) {
        require(name, Kind.VCPU, at);
    }

    /** Checks a page of memory that a cache may prefetch. */
    void checkPage(String name, Node at) {
        checkMemory(name, at);
        if (isOfDriver(name)) {
            throw yaml.unknown(at, "'" + name + "' is no page, but all that the IOMMU's driver writes");
        }
    }

    private boolean isOfDriver(String name) {
        Memory known = memory.get(name);
        return known != null && known.isOfDriver();
    }

    void checkMemory(String name, Node at) {
        if (!memory.containsKey(name)) {
            throw yaml.unknown(at, "no memory '" + name + "'; known: " + String.join(", ", memory.keySet()));
        }
    }

    private void require(String name, Kind kind, Node at) {
        if (kindOf(name, at) != kind) {
            throw yaml.unknown(at, "'" + name + "' is not " + kind.words() + "; " + known(kind));
        }
    }

    private void checkHwpt(boolean isNew, String name, Node at) {
        if (isNew) {
            if (!hwpts.add(name)) {
                throw yaml.unknown(at, "hwpt '" + name + "' is there already");
            }
        } else if (!hwpts.contains(name)) {
            throw yaml.unknown(at, "no hwpt '" + name + "' was made before; known: " + String.join(", ", hwpts));
        }
    }

    private void checkMemory(Step step, String name, Node at) {
        checkMemory(name, at);
        Memory page = memory.get(name);
        if (page == null) {
            throw new IllegalStateException("memory " + name + " was not checked");
        }
        Actor owner = actors.get(page.owner());
        Actor actor = actors.get(step.actor());
        boolean reached = true;
        if (page.isOfDriver()) {
            reached = step.verb() == Verb.EVICT;
        } else if (actor instanceof Actor.Vcpu vcpu) {
            reached = vcpu.vm().equals(page.owner()) || vcpu.vm().equals(page.then());
        } else if (actor instanceof Actor.HostProcess) {
            reached = step.actor().equals(page.owner());
        } else if (actor instanceof Actor.Domain) {
            reached = step.actor().equals(page.owner());
        } else if (actor instanceof Actor.Device) {
            reached = !(owner instanceof Actor.Device) || step.actor().equals(page.owner());
        } else if (kindOf(step.actor(), at) == Kind.VMM && step.verb() != Verb.GIVE) {
            reached = owner instanceof Actor.Vm || page.then() != null;
        } else if (step.verb() == Verb.GIVE) {
            reached = step.argument(1).equals(page.then());
        }
        if (!reached) {
            throw yaml.unknown(
                    at, "memory '" + name + "' is of '" + page.owner() + "', and '" + step.actor() + "' can't do that");
        }
    }

    /** Inside of a WBINVD a guest does nothing. */
    private void checkWbinvd(Step step, Node at) {
        if (kindOf(step.actor(), at) != Kind.VCPU) {
            return;
        }
        boolean inside = insideWbinvd.contains(step.actor());
        if (inside != (step.verb() == Verb.END_WBINVD)) {
            throw yaml.unknown(
                    at,
                    "'" + step.actor() + "' is " + (inside ? "" : "not ") + "inside of a WBINVD, expected "
                            + (inside ? "'end wbinvd' next" : "'begin wbinvd' before"));
        }
        if (step.verb() == Verb.BEGIN_WBINVD) {
            insideWbinvd.add(step.actor());
        } else if (inside) {
            insideWbinvd.remove(step.actor());
        }
    }

    /** One can only await what has rung before: the steps happen in the order in which they are written. */
    private void follow(Step step, Node at) {
        if (step.verb() == Verb.RING) {
            signals.merge(step.actor() + ">" + step.argument(0), 1, Integer::sum);
        } else if (step.verb() == Verb.DONE) {
            for (String name : actors.keySet()) {
                signals.merge(step.actor() + ">" + name, 1, Integer::sum);
            }
        } else if (step.verb() == Verb.AWAIT) {
            String signal = step.argument(0) + ">" + step.actor();
            if (signals.merge(signal, -1, Integer::sum) < 0) {
                throw yaml.unknown(
                        at, "'" + step.argument(0) + "' has not rung or said 'done' before, so this never ends");
            }
        }
    }
}
