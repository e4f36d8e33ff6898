// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.page;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.iommu4j.kvm.KvmQuirk;
import org.iommu4j.platform.MemoryType;
import org.iommu4j.workbench.page.Actor.Kind;

/**
 * What an actor of a page can do: a form of words, of which those in capitals stand for others.
 *
 * <p>The patterns of {@code docs/case.schema.json} are made of these.
 */
public enum Verb {
    /** Stores a word at the beginning of a page of memory. */
    STORE("store MEMORY = VALUE", Kind.VCPU, Kind.HOST, Kind.PROCESS, Kind.VMM),
    /** Loads it. */
    LOAD("load MEMORY", Kind.VCPU, Kind.HOST, Kind.PROCESS, Kind.VMM),
    /** Flushes its line; the kernel's fences around it included. */
    CLFLUSH("clflush MEMORY", Kind.VCPU, Kind.HOST, Kind.PROCESS, Kind.VMM),
    /** As {@link #CLFLUSH}, but only a fence makes sure that it is done. */
    CLFLUSHOPT("clflushopt MEMORY", Kind.VCPU, Kind.HOST, Kind.PROCESS, Kind.VMM),
    /** As {@link #CLFLUSHOPT}, but caches may keep the line. */
    CLWB("clwb MEMORY", Kind.VCPU, Kind.HOST, Kind.PROCESS, Kind.VMM),
    /** Orders stores: what waits in write-combining buffers, and of flushes, is done. */
    SFENCE("sfence", Kind.VCPU, Kind.HOST, Kind.PROCESS, Kind.VMM),
    /** Orders loads and stores. */
    MFENCE("mfence", Kind.VCPU, Kind.HOST, Kind.PROCESS, Kind.VMM),
    /** Writes back caches, which keep their lines; a guest's exits as WBINVD does. */
    WBNOINVD("wbnoinvd", Kind.VCPU, Kind.HOST),
    /** Writes back and invalidates caches. */
    WBINVD("wbinvd", Kind.VCPU, Kind.HOST),
    /** A guest of this guest does so; this one's kernel ignores it where its own IOMMU offers snoop control. */
    INNER_WBINVD("wbinvd of inner guest", Kind.VCPU),
    /** The first step of a guest's WBINVD: caches are flushed. Until the second one only the scheduler acts on it. */
    BEGIN_WBINVD("begin wbinvd", Kind.VCPU),
    /** The second step: KVM forgets the CPUs that it flushed. */
    END_WBINVD("end wbinvd", Kind.VCPU),
    /** The kernel does so on every CPU. */
    WBINVD_EVERYWHERE("wbinvd everywhere", Kind.HOST),
    /** The guest maps a page of memory with another type from now on. */
    MAP_AS("map MEMORY as TYPE", Kind.VCPU),
    /** The guest lets its devices reach a page of memory, by the first-stage table of its own IOMMU. */
    MAP_FOR_DEVICES("map MEMORY for devices", Kind.VCPU),
    /** Clears or sets CR0.CD. */
    CACHING("turn caching SWITCH", Kind.VCPU),
    /** Sets or clears Enable No Snoop in a device's Device Control. */
    NO_SNOOP("turn no-snoop of DEVICE SWITCH", Kind.VCPU, Kind.HOST),
    /** Writes a device's doorbell register. */
    RING("ring DEVICE", Kind.VCPU, Kind.HOST, Kind.PROCESS),
    /** Waits for a doorbell or for a device's interrupt. */
    AWAIT("await ACTOR", Kind.VCPU, Kind.HOST, Kind.PROCESS, Kind.DEVICE),
    /** Reads a word by DMA. */
    READ("read MEMORY", Kind.DEVICE),
    /** As {@link #READ}, but the IOMMU may refuse, which ends the case: REFUSED. */
    TRY_READ("try read MEMORY", Kind.DEVICE),
    /** Writes it by DMA. */
    WRITE("write MEMORY = VALUE", Kind.DEVICE),
    /** Says that a device is done. */
    DONE("done", Kind.DEVICE),
    /** Asks a domain to block no-snoop. */
    ENFORCE("enforce", Kind.DOMAIN),
    /** Maps memory. */
    MAP("map MEMORY", Kind.DOMAIN),
    /** A device joins a domain. */
    JOIN("attach DEVICE", Kind.DOMAIN),
    /** Gives a process' page to a virtual machine. */
    GIVE("give MEMORY to VM", Kind.VMM),
    /** Binds a device that had another driver to vfio-pci. */
    BIND("bind DEVICE", Kind.VMM),
    /** Attaches a device, tells KVM of it, and opens it. */
    HOT_ADD("hot-add DEVICE to VM", Kind.VMM),
    /** Closes a device, tells KVM, and detaches it. */
    HOT_REMOVE("hot-remove DEVICE from VM", Kind.VMM),
    /** Makes a HWPT for a device. */
    ALLOC("alloc hwpt HWPT for DEVICE of VM", Kind.VMM),
    /** Makes a HWPT that can lie below a guest's table. */
    ALLOC_PARENT("alloc parent hwpt HWPT for DEVICE of VM", Kind.VMM),
    /** Makes a HWPT of the guest's table on a parent. */
    NEST("nest hwpt HWPT on hwpt HWPT for DEVICE", Kind.VMM),
    /** Attaches a device, or moves it, to a HWPT. */
    ATTACH_HWPT("attach DEVICE to hwpt HWPT", Kind.VMM),
    /** As {@link #ATTACH_HWPT}, but a refusal does not end the case. */
    TRY_ATTACH_HWPT("try attach DEVICE to hwpt HWPT", Kind.VMM),
    /** Attaches a device to the virtual machine's container or IOAS. */
    ATTACH("attach DEVICE to VM", Kind.VMM),
    /** Detaches it. */
    DETACH("detach DEVICE", Kind.VMM),
    /** Opens it. */
    OPEN("open DEVICE", Kind.VMM),
    /** Closes it. */
    CLOSE("close DEVICE", Kind.VMM),
    /** Adds its file to KVM. */
    KVM_ADD("kvm add DEVICE", Kind.VMM),
    /** Adds the file of a device's group to KVM before anything else is done with it. */
    KVM_ADD_FIRST("kvm add DEVICE to VM first", Kind.VMM),
    /** Deletes its file from KVM. */
    KVM_DEL("kvm del DEVICE", Kind.VMM),
    /** Turns a quirk of KVM off, for good. */
    QUIRK_OFF("turn quirk QUIRK of VM off", Kind.VMM),
    /** Ends a virtual machine. */
    END("end VM", Kind.VMM),
    /** A vCPU leaves the guest for the VMM and enters it again. */
    RUN("run VCPU", Kind.VMM),
    /** Moves a vCPU to another CPU while it is in the guest. */
    MOVE("move VCPU to CPU", Kind.SCHEDULER),
    /** Takes a vCPU off its CPU, and puts it there again. */
    PREEMPT("preempt VCPU", Kind.SCHEDULER),
    /** Every cache drops a line, and writes it back where it is dirty. */
    EVICT("evict MEMORY", Kind.HARDWARE),
    /** A CPU's cache takes a line in. */
    PREFETCH("prefetch MEMORY into CPU", Kind.HARDWARE),
    /** All caches write back and drop all lines. */
    DRAIN("drain", Kind.HARDWARE);

    /** The pattern of names. */
    static final String NAME = "[a-z][a-z0-9-]{0,30}";

    /** The pattern of words in memory. */
    static final String VALUE = "(?:0x[0-9a-f]{1,16}|0|[1-9][0-9]{0,17})";

    private final String form;

    @SuppressWarnings("ImmutableEnumChecker") // nobody changes it
    private final Set<Kind> kinds;

    private final String pattern;
    private final Pattern compiled;

    @SuppressWarnings("ImmutableEnumChecker") // a copy
    private final List<Hole> holes;

    Verb(String form, Kind... kinds) {
        this.form = form;
        this.kinds = EnumSet.copyOf(List.of(kinds));
        StringBuilder made = new StringBuilder();
        List<Hole> found = new ArrayList<>();
        for (String word : form.split(" ", -1)) {
            made.append(made.length() == 0 ? "" : " +");
            Optional<Hole> hole = Hole.of(word);
            made.append(hole.map(each -> "(" + each.pattern + ")").orElse(word));
            hole.ifPresent(found::add);
        }
        pattern = made.toString();
        compiled = Pattern.compile(pattern);
        holes = List.copyOf(found);
    }

    /** What a word in capitals stands for. */
    enum Hole {
        MEMORY(NAME),
        VALUE(Verb.VALUE),
        TYPE(names(MemoryType.values())),
        DEVICE(NAME),
        SWITCH("on|off"),
        ACTOR(NAME),
        VM(NAME),
        QUIRK(names(KvmQuirk.values())),
        HWPT(NAME),
        VCPU(NAME),
        CPU("cpu[0-9]{1,2}");

        private final String pattern;

        Hole(String pattern) {
            this.pattern = pattern;
        }

        private static String names(Enum<?>... values) {
            return Arrays.stream(values).map(Enum::name).collect(Collectors.joining("|"));
        }

        static Optional<Hole> of(String word) {
            return Arrays.stream(values())
                    .filter(hole -> hole.name().equals(word))
                    .findFirst();
        }
    }

    /** Returns the form of words. */
    public String form() {
        return form;
    }

    /** Returns the kinds of actors that can do it. */
    public Set<Kind> kinds() {
        return kinds;
    }

    /** Returns the regular expression of its words. */
    public String pattern() {
        return pattern;
    }

    /** Returns what its words in capitals stand for, in order. */
    List<Hole> holes() {
        return holes;
    }

    /** Returns the words for those in capitals, or empty when these words are of another form. */
    Optional<List<String>> match(String words) {
        Matcher matcher = compiled.matcher(words);
        if (!matcher.matches()) {
            return Optional.empty();
        }
        String[] arguments = new String[holes.size()];
        for (int i = 0; i < arguments.length; i++) {
            arguments[i] = matcher.group(i + 1);
        }
        return Optional.of(List.of(arguments));
    }

    /** Returns the form with words for those in capitals. */
    String words(List<String> arguments) {
        StringBuilder words = new StringBuilder();
        int next = 0;
        for (String word : form.split(" ", -1)) {
            words.append(words.length() == 0 ? "" : " ");
            words.append(Hole.of(word).isPresent() ? arguments.get(next++) : word);
        }
        return words.toString();
    }

    /** Returns the forms that a kind of actor knows, for messages. */
    static String formsOf(Kind kind) {
        return Arrays.stream(values())
                .filter(verb -> verb.kinds.contains(kind))
                .map(Verb::form)
                .collect(Collectors.joining(", "));
    }
}
