// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.contract;

import com.sun.source.tree.ClassTree;
import com.sun.source.tree.CompilationUnitTree;
import com.sun.source.tree.MethodTree;
import com.sun.source.tree.VariableTree;
import com.sun.source.util.DocTrees;
import com.sun.source.util.JavacTask;
import com.sun.source.util.TreePathScanner;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.tools.JavaCompiler;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * A sentence of the Javadoc that a vendor must keep, which ends with its id in square brackets.
 *
 * @param id for example {@code map-4}
 * @param type simple name of the type, with those around it
 * @param member name of the method, empty where the type promises
 * @param sentence in plain text
 */
record Promise(String id, String type, String member, String sentence) {
    private static final Pattern MARK = Pattern.compile("\\s*\\[([a-z]+(?:-[a-z]+)*-[1-9][0-9]*)\\]");

    /** Where a new sentence may begin: a tag, a paragraph or list item, or the end of a sentence. */
    private static final Pattern BOUNDARY =
            Pattern.compile("(?m)^\\s*@|<(?:p|ul|ol|li|/li|/ul|/ol)>|(?<=[.])\\s+(?=[A-Z{])");

    private static final Pattern INLINE = Pattern.compile("\\{@(?:code|link|linkplain|literal)\\s+([^}]*)\\}");

    /** A place in the sources: a type, or a method of it. */
    record Place(String type, String member, String comment) {}

    /** Returns the promises of the sources below a directory, in the order of files and lines. */
    static List<Promise> of(Path directory) throws IOException {
        List<Promise> promises = new ArrayList<>();
        for (Place place : places(directory)) {
            promises.addAll(of(place));
        }
        return promises;
    }

    /** Returns the promises of one comment. */
    static List<Promise> of(Place place) {
        List<Promise> promises = new ArrayList<>();
        String comment = place.comment();
        Matcher mark = MARK.matcher(comment);
        int done = 0;
        while (mark.find()) {
            int start = done;
            Matcher boundary = BOUNDARY.matcher(comment).region(done, mark.start());
            while (boundary.find()) {
                start = boundary.group().endsWith("@") ? boundary.end() - 1 : boundary.end();
            }
            promises.add(
                    new Promise(mark.group(1), place.type(), place.member(), sentence(comment, start, mark.start())));
            done = mark.end();
        }
        return promises;
    }

    /** Returns every type and method with its comment, empty where there is none. */
    static List<Place> places(Path directory) throws IOException {
        List<Place> places = new ArrayList<>();
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        try (Stream<Path> files = Files.walk(directory);
                StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8)) {
            List<Path> sources = files.filter(file -> file.toString().endsWith(".java"))
                    .filter(file -> !file.endsWith("module-info.java"))
                    .sorted()
                    .toList();
            JavacTask task = (JavacTask) compiler.getTask(
                    null, manager, null, List.of("-proc:none"), null, manager.getJavaFileObjectsFromPaths(sources));
            Scanner scanner = new Scanner(DocTrees.instance(task), places);
            for (CompilationUnitTree unit : task.parse()) {
                scanner.scan(unit, null);
            }
        }
        return places;
    }

    private static String sentence(String comment, int start, int end) {
        String text = INLINE.matcher(comment.substring(start, end)).replaceAll(Promise::plain);
        text = text.replaceAll("<[^>]*>", "")
                .replaceAll("\\s+", " ")
                .replaceAll("^[\\s.,;:]+(?:and )?", "")
                .strip();
        text = switch (blockOf(comment, start)) {
            case "@throws" -> thrown(text.replaceFirst("^@throws \\S*IommuException ", ""));
            case "@return" ->
                text.matches("@return .*|[^A-Z].*") ? "Returns " + text.replaceFirst("^@return ", "") : text;
            case "@param" -> text.replaceFirst("^@param (\\S+) ", "$1: ");
            default -> text;
        };
        return text.endsWith(".") ? text : text + ".";
    }

    /** An errno or an exception is thrown; another sentence of the same tag stands as it is. */
    private static String thrown(String text) {
        String exception = text.replaceFirst("^@throws (?:\\w+\\.)*(\\w+)", "$1");
        return text.startsWith("@throws") || exception.matches("[A-Z]{3,}\\b.*") ? "Throws " + exception : text;
    }

    /** Returns the text of a code tag, and of a link its label or else its target. */
    private static String plain(MatchResult tag) {
        String inner = tag.group(1).strip();
        boolean link = tag.group().startsWith("{@link");
        int label = link ? inner.indexOf(' ', Math.max(0, inner.indexOf(')'))) : -1;
        return Matcher.quoteReplacement((label < 0 ? inner : inner.substring(label + 1))
                .replaceFirst("^(?:[a-z0-9]+\\.)*(?=[A-Z])", "")
                .replaceFirst("^#", "")
                .replace('#', '.'));
    }

    /** Returns the block tag that a position of a comment is in, empty for the description. */
    private static String blockOf(String comment, int position) {
        Matcher tag = Pattern.compile("(?m)^\\s*(@\\w+)").matcher(comment);
        String block = "";
        while (tag.find() && tag.start(1) <= position) {
            block = tag.group(1);
        }
        return block;
    }

    /** Collects public places; types inside types have both names. */
    private static final class Scanner extends TreePathScanner<Void, Void> {
        private final DocTrees docs;
        private final List<Place> places;
        private final Deque<String> types = new ArrayDeque<>();

        Scanner(DocTrees docs, List<Place> places) {
            this.docs = docs;
            this.places = places;
        }

        @Override
        public Void visitClass(ClassTree type, Void nothing) {
            types.addLast(type.getSimpleName().toString());
            add("");
            super.visitClass(type, null);
            types.removeLast();
            return null;
        }

        @Override
        public Void visitMethod(MethodTree method, Void nothing) {
            add(
                    method.getName().contentEquals("<init>")
                            ? types.getLast()
                            : method.getName().toString());
            return null;
        }

        @Override
        public Void visitVariable(VariableTree variable, Void nothing) {
            if (!(getCurrentPath().getParentPath().getLeaf() instanceof MethodTree)) {
                add(variable.getName().toString());
            }
            return null;
        }

        private void add(String member) {
            String comment = docs.getDocComment(getCurrentPath());
            places.add(new Place(String.join(".", types), member, comment == null ? "" : comment));
        }
    }
}
