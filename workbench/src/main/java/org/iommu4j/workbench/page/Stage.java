// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.iommu4j.IommuException;
import org.iommu4j.dma.DmaApi;
import org.iommu4j.dma.DmaDevice;
import org.iommu4j.dma.DmaDirection;
import org.iommu4j.host.InputException;
import org.iommu4j.kvm.KvmQuirk;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.pci.PciFunction;
import org.iommu4j.platform.Architecture;
import org.iommu4j.platform.HardwareVirtualization;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.platform.Processor;
import org.iommu4j.platform.SystemMemory;
import org.iommu4j.sim.cache.CacheHierarchy;
import org.iommu4j.sim.machine.Machine;
import org.iommu4j.sim.machine.UserProcess;
import org.iommu4j.sim.pcie.Endpoint;
import org.iommu4j.sim.verdict.Owner;
import org.iommu4j.workbench.page.Page.Memory;
import org.iommu4j.workbench.scenario.AssignedGuest;
import org.iommu4j.workbench.scenario.Decision;
import org.iommu4j.workbench.scenario.DecisionStep;
import org.iommu4j.workbench.scenario.DeviceAccess;
import org.iommu4j.workbench.scenario.DomainOutcome;
import org.iommu4j.workbench.scenario.Enforcement;
import org.iommu4j.workbench.scenario.GuestCpu;
import org.iommu4j.workbench.scenario.NotApplicable;
import org.iommu4j.workbench.scenario.NotApplicableException;
import org.iommu4j.workbench.scenario.RequestRefusedException;
import org.iommu4j.workbench.scenario.Scenario;
import org.iommu4j.workbench.scenario.UnexpectedFaultException;

/**
 * A page's actors on a machine.
 *
 * <p>First processes get their memory, then kernel drivers, kernel users' domains and virtual machines with their
 * devices are set up, in the order in which the page has them; vCPUs enter the guest. Then the steps follow.
 */
public final class Stage {
    private static final int PAGE = 4096;

    private static final String VMM = "vmm";

    /** The CPU on which the VMM runs. */
    public static final int VMM_CPU = 0;

    /** Where processes have their pages. */
    private static final long PROCESS_ADDRESS = 0x5500_0000_0000L;

    /**
     * Where a page of memory is.
     *
     * @param number its number among its owner's pages
     * @param physical its physical address; it stays there
     * @param iova its address for devices that reach it
     */
    public record Place(int number, long physical, long iova) {}

    private final Page page;
    private final Scenario scenario;
    private final Machine machine;
    private final Map<String, PciAddress> devices = new LinkedHashMap<>();
    private final Map<String, Place> places = new LinkedHashMap<>();
    private final Map<String, UserProcess> processes = new LinkedHashMap<>();
    private final Map<String, KernelDomain> domains = new LinkedHashMap<>();
    private final Map<String, AssignedGuest> guests = new LinkedHashMap<>();
    private final Map<String, GuestCpu> vcpus = new LinkedHashMap<>();
    private final List<PciAddress> ofKernelDrivers = new ArrayList<>();

    /** A device's virtual machine at the moment. */
    private final Map<String, String> users = new LinkedHashMap<>();

    /** The devices that a virtual machine has open. */
    private final Set<String> opened = new HashSet<>();

    /** The devices that joined a kernel user's domain after the set-up. */
    private final Set<String> joined = new HashSet<>();

    /** The virtual machine of a HWPT. */
    private final Map<String, String> ownersOfHwpts = new LinkedHashMap<>();

    /** The type with which a virtual machine has a page of memory mapped, where that is not write-back. */
    private final Map<String, MemoryType> types = new LinkedHashMap<>();

    private boolean hasDma;
    private int given;

    /** Makes one on which nobody acts yet. */
    public Stage(Page page, Scenario scenario) {
        this.page = page;
        this.scenario = scenario;
        machine = scenario.machine();
    }

    /** Returns the name under which an actor is in the trace. */
    static String label(Page page, Scenario scenario, String actor) {
        return page.actors().get(actor) instanceof Actor.Device device
                ? address(device, scenario).toString()
                : actor;
    }

    void run() {
        setUp();
        for (Step step : page.steps()) {
            try {
                act(step);
            } catch (UnexpectedFaultException e) {
                throw new UnexpectedFaultException(place(step) + e.getMessage());
            } catch (IllegalArgumentException e) {
                throw new InputException(place(step) + e.getMessage(), e);
            } catch (IommuException | NotApplicableException | RequestRefusedException e) {
                if (hasDma) {
                    throw new InputException(
                            place(step) + "refused after DMA, so that there is no one answer: " + e.getMessage(), e);
                }
                throw e;
            }
        }
    }

    private String place(Step step) {
        return page.file() + ":" + step.line() + ": ";
    }

    // Setting up.

    /**
     * Gives the actors their memory, drivers, domains and virtual machines, once; vCPUs enter their guests.
     *
     * @throws NotApplicableException when the machine or the release lacks what the page needs
     * @throws IommuException when the system refuses
     */
    public void setUp() {
        checkCpus();
        page.actors().forEach((name, actor) -> {
            if (actor instanceof Actor.Device device) {
                PciAddress address = address(device, scenario);
                devices.put(name, address);
                if (device.driver() != Actor.Driver.VFIO_PCI) {
                    scenario.keepFromVfio(address);
                }
            } else if (actor instanceof Actor.HostProcess process) {
                processes.put(name, machine.newProcess(0, false));
                scenario.owns(new Owner(process.owner(), false), name);
            }
        });
        page.memory().forEach((name, memory) -> {
            UserProcess process = processes.get(memory.owner());
            if (process != null) {
                int number = number(name, memory.owner());
                places.put(name, new Place(number, process.allocate(processAddress(number), 1, true), 0));
            }
        });
        DmaApi dma = new DmaApi(scenario.core(), machine.memory(0), machine.frames());
        page.actors().forEach((name, actor) -> {
            if (actor instanceof Actor.Device device && device.driver() == Actor.Driver.KERNEL) {
                bindKernelDriver(name, device, dma);
            } else if (actor instanceof Actor.Domain) {
                makeDomain(name);
            }
        });
        page.actors().forEach((name, actor) -> {
            if (actor instanceof Actor.Vm vm) {
                makeGuest(name, vm);
            }
        });
        vcpus.values().forEach(GuestCpu::enter);
    }

    private void checkCpus() {
        int most = 0;
        for (Actor actor : page.actors().values()) {
            int cpu = actor instanceof Actor.Vcpu vcpu
                    ? vcpu.cpu()
                    : actor instanceof Actor.Host host
                            ? host.cpu()
                            : actor instanceof Actor.HostProcess process ? process.cpu() : 0;
            most = Math.max(most, cpu);
        }
        for (Step step : page.steps()) {
            for (int i = 0; i < step.arguments().size(); i++) {
                if (step.verb().holes().get(i) == Verb.Hole.CPU) {
                    most = Math.max(most, cpu(step.argument(i)));
                }
            }
        }
        if (most >= scenario.processors().size()) {
            throw new NotApplicableException(
                    NotApplicable.MACHINE_LACKS,
                    "the machine has no cpu" + most + ", which case " + page.name() + " needs");
        }
    }

    private static int cpu(String name) {
        return Integer.parseInt(name.substring("cpu".length()));
    }

    private static PciAddress address(Actor.Device device, Scenario scenario) {
        return switch (device.which()) {
            case FIRST -> scenario.device();
            case SECOND -> scenario.secondDevice();
            case MATE -> mate(scenario);
        };
    }

    /** Returns another endpoint of the first one's group. */
    private static PciAddress mate(Scenario scenario) {
        PciAddress first = scenario.device();
        return scenario.groupOf(first).devices().stream()
                .map(device -> device.id() instanceof PciAddress address ? address : first)
                .filter(address -> !address.equals(first))
                .filter(address -> scenario.machine()
                        .topology()
                        .function(address)
                        .map(PciFunction::config)
                        .filter(config -> !config.isBridge())
                        .isPresent())
                .findFirst()
                .orElseThrow(() -> new NotApplicableException(
                        NotApplicable.MACHINE_LACKS, "no other endpoint is in the group of " + first));
    }

    /** Returns a page's number among its owner's. */
    private int number(String name, String owner) {
        int number = 0;
        for (Map.Entry<String, Memory> entry : page.memory().entrySet()) {
            if (entry.getKey().equals(name)) {
                return number;
            }
            if (entry.getValue().owner().equals(owner)) {
                number++;
            }
        }
        throw new IllegalStateException("no memory " + name);
    }

    private static long processAddress(int number) {
        return PROCESS_ADDRESS + (long) number * PAGE;
    }

    private void bindKernelDriver(String name, Actor.Device device, DmaApi dma) {
        PciAddress address = device(name);
        DmaDevice bound = dma.bind(address);
        ofKernelDrivers.add(address);
        scenario.decides(this::decision, this::path, this::outcomes);
        page.memory().forEach((buffer, memory) -> {
            if (memory.owner().equals(name)) {
                long frame = clearFrame();
                long iova = bound.mapPage(frame, DmaDirection.BIDIRECTIONAL);
                places.put(buffer, new Place(number(buffer, name), frame, iova));
            }
        });
        if (!flushes()) {
            scenario.note("Linux has no flush of cache lines for drivers on "
                    + machine.description().processors().architecture());
        }
        use(device, machine.endpoint(address).config());
    }

    /**
     * Takes a frame whose first word is zero, as the kernel gives one to a driver that asks for zeros. A fresh frame is
     * so already. One that an IOMMU's driver has given back still has the entries of a table, maybe in a cache.
     */
    private long clearFrame() {
        long frame = machine.frames().allocate(0);
        boolean isCached =
                machine.caches().map(caches -> caches.isCached(frame)).orElse(false);
        if (isCached || machine.peekDram(frame) != 0) {
            SystemMemory memory = machine.memory(0);
            memory.store(frame, 0);
            memory.writeBack(frame, Long.BYTES);
        }
        return frame;
    }

    /**
     * Returns whether the kernel's drivers can flush caches. Linux has these flushes for x86 alone. For the other
     * architectures here they only warn ({@code drm_cache.c}).
     */
    public boolean flushes() {
        return machine.description().processors().architecture() == Architecture.X86_64;
    }

    private void makeDomain(String name) {
        List<PciAddress> members = new ArrayList<>();
        page.actors().forEach((each, actor) -> {
            if (actor instanceof Actor.Device device && name.equals(device.in())) {
                members.add(device(each));
            }
        });
        KernelDomain domain = new KernelDomain(scenario, members.isEmpty() ? scenario.device() : members.get(0));
        domains.put(name, domain);
        scenario.decides(this::decision, this::path, this::outcomes);
        members.forEach(domain::attach);
        page.memory().forEach((buffer, memory) -> {
            if (memory.owner().equals(name)) {
                int number = number(buffer, name);
                long frame = clearFrame();
                places.put(buffer, new Place(number, frame, Scenario.IOVA + (long) number * PAGE));
            }
        });
        page.actors().forEach((each, actor) -> {
            if (actor instanceof Actor.Device device && device.noSnoop() && device.vm() == null) {
                use(device, machine.endpoint(device(each)).config());
            }
        });
    }

    private void makeGuest(String name, Actor.Vm vm) {
        List<String> members = new ArrayList<>();
        page.actors().forEach((each, actor) -> {
            if (actor instanceof Actor.Device device && name.equals(device.vm())) {
                members.add(each);
            }
        });
        AssignedGuest guest = AssignedGuest.create(
                scenario, name, vm.by(), vm.iommu(), members.isEmpty() ? null : device(members.get(0)));
        guests.put(name, guest);
        page.actors().forEach((each, actor) -> {
            if (actor instanceof Actor.Vcpu vcpu && vcpu.vm().equals(name)) {
                vcpus.put(each, guest.createCpu(each, vcpu.cpu()));
            }
        });
        scenario.decides(this::decision, this::path, this::outcomes);
        for (String member : members) {
            // The first one is attached already.
            if (!member.equals(members.get(0))) {
                guest.attach(device(member));
            }
            guest.tellKvm(device(member));
            guest.open(device(member));
            opened.add(member);
            usedBy(member, name);
        }
        page.memory().forEach((buffer, memory) -> {
            if (memory.owner().equals(name)) {
                int number = number(buffer, name);
                long offset = (long) number * PAGE;
                guest.noteBuffer(buffer, number);
                places.put(
                        buffer,
                        new Place(
                                number, guest.vm().translate(Scenario.GUEST_ADDRESS + offset), Scenario.IOVA + offset));
            }
        });
    }

    /** A device's driver, in a guest or the host, has it send requests. */
    private static void use(Actor.Device device, ConfigSpace config) {
        DeviceAccess.enableBusMaster(config);
        if (device.noSnoop()) {
            DeviceAccess.enableNoSnoop(config, true);
        }
    }

    private void usedBy(String name, String vm) {
        users.put(name, vm);
        if (page.actors().get(name) instanceof Actor.Device device) {
            use(device, guest(vm).config(device(name)));
        }
    }

    // What is there.

    private PciAddress device(String name) {
        return present(devices, name);
    }

    private AssignedGuest guest(String name) {
        return present(guests, name);
    }

    private static <T> T present(Map<String, T> known, String name) {
        T found = known.get(name);
        if (found == null) {
            throw new IllegalArgumentException("'" + name + "' is not there any more, or not yet");
        }
        return found;
    }

    private AssignedGuest userOf(String device) {
        String vm = users.get(device);
        if (vm == null) {
            throw new IllegalArgumentException("no virtual machine has '" + device + "' now");
        }
        return guest(vm);
    }

    /** Returns the device that the decisions are about: the machine's first, or the page's where that has it not. */
    private PciAddress subject() {
        return devices.isEmpty() || devices.containsValue(scenario.device())
                ? scenario.device()
                : devices.values().iterator().next();
    }

    /** Returns the virtual machine that the decisions are about, empty when there is none. */
    private Optional<AssignedGuest> decidedGuest() {
        for (Map.Entry<String, PciAddress> device : devices.entrySet()) {
            if (device.getValue().equals(subject()) && users.containsKey(device.getKey())) {
                return Optional.of(userOf(device.getKey()));
            }
        }
        return guests.values().stream().findFirst();
    }

    private Decision decision() {
        Optional<AssignedGuest> guest = decidedGuest();
        if (guest.isPresent()) {
            return guest.get().decision(subject());
        }
        Optional<KernelDomain> domain = domains.values().stream().findFirst();
        return new Decision(
                domain.map(KernelDomain::enforcement).orElse(Enforcement.NOT_ASKED), null, null, null, null);
    }

    private List<DecisionStep.Made> path() {
        return decidedGuest()
                .map(guest -> guest.path(subject()))
                .orElseGet(() -> domains.values().stream()
                        .limit(1)
                        .map(KernelDomain::step)
                        .toList());
    }

    private List<DomainOutcome> outcomes() {
        List<DomainOutcome> outcomes = new ArrayList<>();
        ofKernelDrivers.forEach(device -> outcomes.add(new DomainOutcome(List.of(device), Enforcement.NOT_ASKED)));
        domains.values().forEach(domain -> outcomes.add(domain.outcome()));
        guests.values().forEach(guest -> outcomes.addAll(guest.domains()));
        return outcomes;
    }

    // Steps.

    /**
     * Does a step, of which the references were checked.
     *
     * @throws IllegalArgumentException when the step asks for what is not there now
     * @throws IommuException when the system refuses
     */
    public void act(Step step) {
        interrupt(cpuOfHost(step));
        switch (step.verb()) {
            case STORE -> store(step);
            case LOAD -> load(step);
            case CLFLUSH -> flush(step);
            case CLFLUSHOPT, CLWB -> flushLater(step);
            case SFENCE -> orderStores(step);
            case MFENCE -> {
                GuestCpu vcpu = vcpus.get(step.actor());
                scenario.note(step.actor() + " orders its loads and stores");
                if (vcpu != null) {
                    vcpu.mfence();
                } else {
                    asActor(step, processor(step)::mfence);
                }
            }
            case WBNOINVD -> {
                GuestCpu vcpu = vcpus.get(step.actor());
                if (vcpu != null) {
                    vcpu.wbnoinvd();
                } else if (flushes()) {
                    asActor(step, processor(step)::wbnoinvd);
                }
            }
            case WBINVD -> {
                GuestCpu vcpu = vcpus.get(step.actor());
                if (vcpu != null) {
                    vcpu.wbinvd();
                } else if (flushes()) {
                    asActor(step, processor(step)::wbinvd);
                }
            }
            case INNER_WBINVD -> guestOf(step).wbinvdOfInnerGuest(vcpu(step.actor()));
            case MAP_FOR_DEVICES ->
                guestOf(step).mapForDevices(vcpu(step.actor()), placeOf(step).iova(), guestAddress(step));
            case BEGIN_WBINVD -> vcpu(step.actor()).beginWbinvd();
            case END_WBINVD -> vcpu(step.actor()).endWbinvd();
            case WBINVD_EVERYWHERE -> {
                if (flushes()) {
                    asActor(step, () -> scenario.processors().forEach(Processor::wbinvd));
                }
            }
            case MAP_AS -> {
                types.put(typeKey(step), MemoryType.valueOf(step.argument(1)));
                scenario.note(step.actor() + " maps " + step.argument(0) + " as " + step.argument(1));
            }
            case CACHING -> vcpu(step.actor()).setCachingOff(step.argument(0).equals("off"));
            case NO_SNOOP ->
                DeviceAccess.enableNoSnoop(
                        users.containsKey(step.argument(0))
                                ? userOf(step.argument(0)).config(device(step.argument(0)))
                                : endpoint(step.argument(0)).config(),
                        step.argument(1).equals("on"));
            case RING -> {
                GuestCpu vcpu = vcpus.get(step.actor());
                int cpu = vcpu == null ? processor(step).id() : vcpu.cpu();
                machine.caches().ifPresent(caches -> caches.drainCombining(cpu));
                scenario.note(step.actor() + " rings the doorbell of " + step.argument(0));
            }
            case AWAIT -> scenario.note(step.actor() + " sees the signal of " + step.argument(0));
            case DONE -> scenario.note(step.actor() + " is done");
            case READ -> {
                DeviceAccess.read(endpoint(step.actor()), placeOf(step).iova(), noSnoop(step));
                hasDma = true;
            }
            case TRY_READ -> tryRead(step);
            case WRITE -> {
                DeviceAccess.write(
                        endpoint(step.actor()),
                        placeOf(step).iova(),
                        PageReader.value(step.argument(1)),
                        noSnoop(step));
                hasDma = true;
            }
            case ENFORCE -> present(domains, step.actor()).enforce();
            case MAP ->
                present(domains, step.actor())
                        .map(placeOf(step).iova(), placeOf(step).physical());
            case JOIN -> {
                present(domains, step.actor()).attach(device(step.argument(0)));
                joined.add(step.argument(0));
            }
            case GIVE -> give(step);
            case BIND -> scenario.bindToVfio(device(step.argument(0)));
            case HOT_ADD -> {
                guest(step.argument(1)).hotAdd(device(step.argument(0)));
                opened.add(step.argument(0));
                usedBy(step.argument(0), step.argument(1));
            }
            case HOT_REMOVE -> {
                guest(step.argument(1)).hotRemove(device(step.argument(0)));
                opened.remove(step.argument(0));
                users.remove(step.argument(0));
            }
            case ALLOC -> {
                guest(step.argument(2)).allocateHwpt(step.argument(0), device(step.argument(1)));
                ownersOfHwpts.put(step.argument(0), step.argument(2));
            }
            case ALLOC_PARENT -> {
                guest(step.argument(2)).allocateParent(step.argument(0), device(step.argument(1)));
                ownersOfHwpts.put(step.argument(0), step.argument(2));
            }
            case NEST -> {
                String vm = present(ownersOfHwpts, step.argument(1));
                guest(vm).nest(step.argument(0), step.argument(1), device(step.argument(2)));
                ownersOfHwpts.put(step.argument(0), vm);
            }
            case ATTACH_HWPT -> {
                String vm = present(ownersOfHwpts, step.argument(1));
                guest(vm).attachTo(step.argument(1), device(step.argument(0)));
                usedBy(step.argument(0), vm);
            }
            case TRY_ATTACH_HWPT -> tryAttach(step);
            case ATTACH -> {
                guest(step.argument(1)).attach(device(step.argument(0)));
                usedBy(step.argument(0), step.argument(1));
            }
            case DETACH -> {
                userOf(step.argument(0)).detach(device(step.argument(0)));
                users.remove(step.argument(0));
            }
            case OPEN -> {
                userOf(step.argument(0)).open(device(step.argument(0)));
                opened.add(step.argument(0));
                usedBy(step.argument(0), users.getOrDefault(step.argument(0), ""));
            }
            case CLOSE -> {
                userOf(step.argument(0)).close(device(step.argument(0)));
                opened.remove(step.argument(0));
            }
            case KVM_ADD -> userOf(step.argument(0)).tellKvm(device(step.argument(0)));
            case KVM_ADD_FIRST -> guest(step.argument(1)).tellKvmFirst(device(step.argument(0)));
            case KVM_DEL -> userOf(step.argument(0)).untellKvm(device(step.argument(0)));
            case QUIRK_OFF -> turnQuirkOff(step);
            case END -> {
                guest(step.argument(0)).close();
                guests.remove(step.argument(0));
                users.values().removeIf(step.argument(0)::equals);
                vcpus.keySet()
                        .removeIf(name -> page.actors().get(name) instanceof Actor.Vcpu vcpu
                                && vcpu.vm().equals(step.argument(0)));
            }
            case RUN -> vcpu(step.argument(0)).enter();
            case MOVE -> {
                interrupt(vcpu(step.argument(0)).cpu());
                vcpu(step.argument(0)).moveTo(scenario.processors().get(cpu(step.argument(1))));
            }
            case PREEMPT -> {
                interrupt(vcpu(step.argument(0)).cpu());
                vcpu(step.argument(0)).preempt();
            }
            case EVICT -> {
                Memory memory = page.memory().get(step.argument(0));
                if (memory != null && memory.isOfDriver()) {
                    machine.caches().ifPresent(this::evictDriversLines);
                } else {
                    evict(placeOf(step).physical());
                }
            }
            case PREFETCH ->
                machine.prefetch(cpu(step.argument(1)), placeOf(step).physical());
            case DRAIN -> machine.drainCaches();
        }
    }

    private void evict(long physicalAddress) {
        for (Processor each : machine.processors()) {
            machine.evict(each.id(), physicalAddress);
        }
    }

    /** All caches write back and drop every line that is in no page of memory of this page. */
    public void evictDriversLines(CacheHierarchy caches) {
        for (int cpu = CacheHierarchy.SHARED_CACHE; cpu < machine.processors().size(); cpu++) {
            for (long line : caches.lines(cpu)) {
                if (places.values().stream().noneMatch(place -> (line & -PAGE) == place.physical())) {
                    evict(line);
                }
            }
        }
    }

    /**
     * The host takes a CPU from a guest, by an interrupt, which empties the CPU's write-combining buffers: the way back
     * from it serializes. Source: Intel SDM volume 3, sections 9.3 and 12.3.1; AMD64 APM volume 2, section 7.4.1.
     *
     * @param cpu the CPU, -1 for none
     */
    private void interrupt(int cpu) {
        if (cpu >= 0) {
            machine.caches().ifPresent(caches -> caches.drainCombining(cpu));
        }
    }

    private void turnQuirkOff(Step step) {
        KvmQuirk quirk = KvmQuirk.valueOf(step.argument(0));
        try {
            guest(step.argument(1)).vm().disableQuirk(quirk);
        } catch (IommuException e) {
            Processor cpu = scenario.processors().get(0);
            String lack = cpu.virtualization() == HardwareVirtualization.SVM
                    ? " with SVM"
                    : cpu.selfSnoop() ? "" : " to turn off without self-snoop";
            throw new NotApplicableException(
                    lack.isEmpty() ? NotApplicable.RELEASE_LACKS : NotApplicable.MACHINE_LACKS,
                    "KVM of Linux " + scenario.release() + " has no quirk " + quirk + lack);
        }
        scenario.note("the VMM turns quirk " + quirk + " off");
    }

    /** Returns a vCPU by its name in the page. */
    public GuestCpu vcpu(String name) {
        return present(vcpus, name);
    }

    /** Returns a device by its name in the page. */
    public Endpoint endpoint(String device) {
        return machine.endpoint(device(device));
    }

    /** Returns a virtual machine by its name in the page. */
    public AssignedGuest virtualMachine(String name) {
        return guest(name);
    }

    /** Returns where a page of memory is. */
    public Place place(String memory) {
        return present(places, memory);
    }

    /** Returns the virtual machine that has a page of memory now, by its name; empty while it has none. */
    public String virtualMachineOf(String memory) {
        Memory its = present(page.memory(), memory);
        if (page.actors().get(its.owner()) instanceof Actor.Vm) {
            return its.owner();
        }
        String then = its.then();
        return then == null || place(memory).iova() == 0 ? "" : then;
    }

    /** Returns the owner of what an actor writes now. */
    public Owner ownerOf(String actor) {
        Actor its = page.actors().get(actor);
        if (its instanceof Actor.HostProcess process) {
            return new Owner(process.owner(), false);
        }
        String vm = its instanceof Actor.Vcpu vcpu ? vcpu.vm() : users.get(actor);
        return vm == null ? Owner.HOST : Owner.guest(vm);
    }

    /** Returns whether a virtual machine has a device open now. */
    public boolean isOpen(String device, String vm) {
        return opened.contains(device) && vm.equals(users.get(device));
    }

    /** Returns whether a virtual machine has a device open, and KVM takes the DMA of that machine for coherent. */
    public boolean isOpenAndTakenForCoherent(String device) {
        return opened.contains(device) && !userOf(device).vm().noncoherentDma();
    }

    /** Returns whether the domain of a device promised to block no-snoop. */
    public boolean isEnforced(String device) {
        PciAddress address = device(device);
        return outcomes().stream()
                .anyMatch(outcome ->
                        outcome.devices().contains(address) && outcome.enforceCacheCoherency() == Enforcement.ENFORCED);
    }

    /** Returns whether somebody uses a device now: a virtual machine, a driver of the kernel's, or a domain. */
    public boolean isUsed(String device) {
        return users.containsKey(device)
                || joined.contains(device)
                || (page.actors().get(device) instanceof Actor.Device its
                        && (its.driver() == Actor.Driver.KERNEL || its.in() != null));
    }

    private boolean noSnoop(Step step) {
        return page.actors().get(step.actor()) instanceof Actor.Device device && device.noSnoop();
    }

    /** Returns the virtual machine of the vCPU that does a step. */
    private AssignedGuest guestOf(Step step) {
        if (page.actors().get(step.actor()) instanceof Actor.Vcpu vcpu) {
            return guest(vcpu.vm());
        }
        throw new IllegalStateException(step.actor() + " is no vCPU");
    }

    /** Returns the place of the memory that a step names first. */
    private Place placeOf(Step step) {
        return present(places, step.argument(0));
    }

    private void tryAttach(Step step) {
        String device = step.argument(0);
        try {
            guest(present(ownersOfHwpts, step.argument(1))).attachTo(step.argument(1), device(device));
            scenario.note(device + " is attached to hwpt " + step.argument(1));
        } catch (IommuException e) {
            scenario.note(device + " is refused by hwpt " + step.argument(1) + ": " + e.errno());
        }
    }

    private void tryRead(Step step) {
        Endpoint endpoint = endpoint(step.actor());
        long iova = placeOf(step).iova();
        endpoint.read(iova, noSnoop(step));
        if (endpoint.lastFault() != 0) {
            throw new RequestRefusedException(endpoint.address() + ": the IOMMU refuses a read of IOVA 0x"
                    + Long.toHexString(iova) + " with fault 0x" + Integer.toHexString(endpoint.lastFault()));
        }
        hasDma = true;
    }

    /** A virtual machine's vCPUs share the types of its tables. */
    private String typeKey(Step step) {
        return page.actors().get(step.actor()) instanceof Actor.Vcpu vcpu ? vcpu.vm() + " " + step.argument(0) : "";
    }

    private MemoryType type(Step step) {
        return types.getOrDefault(typeKey(step), MemoryType.WB);
    }

    private long guestAddress(Step step) {
        return Scenario.GUEST_ADDRESS + placeOf(step).iova() - Scenario.IOVA;
    }

    private void store(Step step) {
        long value = PageReader.value(step.argument(1));
        GuestCpu vcpu = vcpus.get(step.actor());
        if (vcpu != null) {
            vcpu.store(guestAddress(step), value, type(step));
        } else {
            asActor(step, () -> processor(step).store(placeOf(step).physical(), value, MemoryType.WB));
        }
    }

    private void load(Step step) {
        GuestCpu vcpu = vcpus.get(step.actor());
        if (vcpu != null) {
            vcpu.load(guestAddress(step), type(step));
        } else {
            asActor(step, () -> processor(step).load(placeOf(step).physical(), MemoryType.WB));
        }
    }

    private void flush(Step step) {
        GuestCpu vcpu = vcpus.get(step.actor());
        if (vcpu != null) {
            vcpu.clflush(guestAddress(step));
        } else if (flushes()) {
            Processor cpu = processor(step);
            asActor(step, () -> {
                cpu.mfence();
                cpu.clflush(placeOf(step).physical());
                cpu.mfence();
            });
        }
    }

    private void flushLater(Step step) {
        boolean keep = step.verb() == Verb.CLWB;
        GuestCpu vcpu = vcpus.get(step.actor());
        if (vcpu != null) {
            if (keep) {
                vcpu.clwb(guestAddress(step));
            } else {
                vcpu.clflushopt(guestAddress(step));
            }
        } else if (flushes()) {
            Processor cpu = processor(step);
            long address = placeOf(step).physical();
            asActor(step, keep ? () -> cpu.clwb(address) : () -> cpu.clflushopt(address));
        }
    }

    private void orderStores(Step step) {
        GuestCpu vcpu = vcpus.get(step.actor());
        if (vcpu != null) {
            vcpu.sfence();
        } else if (flushes()) {
            asActor(step, processor(step)::sfence);
        }
    }

    private Processor processor(Step step) {
        int cpu = cpuOfHost(step);
        if (cpu < 0) {
            throw new IllegalArgumentException("'" + step.actor() + "' is not there any more");
        }
        return scenario.processors().get(cpu);
    }

    /** Returns the CPU on which the host does a step, -1 where none of its CPUs does. */
    private int cpuOfHost(Step step) {
        Actor actor = page.actors().get(step.actor());
        if (actor instanceof Actor.Host host) {
            return host.cpu();
        }
        if (actor instanceof Actor.HostProcess process) {
            return process.cpu();
        }
        return step.actor().equals(VMM) ? VMM_CPU : -1;
    }

    private void asActor(Step step, Runnable action) {
        machine.trace().initiator(step.actor());
        try {
            action.run();
        } finally {
            machine.trace().initiator("");
        }
    }

    private void give(Step step) {
        String name = step.argument(0);
        Place place = placeOf(step);
        Memory memory = page.memory().get(name);
        UserProcess process = memory == null ? null : processes.get(memory.owner());
        if (process == null || place.iova() != 0) {
            throw new IllegalArgumentException("'" + name + "' is given away already");
        }
        int number = Scenario.GUEST_PAGES + given++;
        guest(step.argument(1)).takeOver(process, processAddress(place.number()), number);
        scenario.note("the VMM gives " + name + " to " + step.argument(1));
        guest(step.argument(1)).noteBuffer(name, number);
        places.put(name, new Place(number, place.physical(), Scenario.IOVA + (long) number * PAGE));
    }
}
