# Draws what bench/run has printed: perl draw.pl FOLDER TITLE <results
#
# FOLDER/ratios.svg: a bar for each ratio, and a line for its reach.
# FOLDER/growth.svg: a curve for each operation of bench/run scale, solid for ours
# and dashed for the plain statement.  Only what is among the results is drawn.
use strict;
use warnings;
use utf8;
use open qw(:std :encoding(UTF-8));

use List::Util qw(max);

my ($folder, $title) = @ARGV;
my $svg;

sub text_of { my ($text) = @_; return $text =~ s/([&<>])/{'&' => '&amp;', '<' => '&lt;', '>' => '&gt;'}->{$1}/ger }
sub text { my ($x, $y, $class, $text) = @_; $svg .= sprintf qq(<text x="%.1f" y="%.1f" class="%s">%s</text>\n), $x, $y, $class, text_of($text) }
sub line { my ($x1, $y1, $x2, $y2, $class) = @_; $svg .= sprintf qq(<path d="M%.1f %.1fL%.1f %.1f" class="%s"/>\n), $x1, $y1, $x2, $y2, $class }
sub round_up { my ($number) = @_; my $unit = 10**int(log($number) / log(10) + 1e-9); for (1, 2, 3, 4, 5, 6, 8, 10) { return $_ * $unit if $_ * $unit >= $number } }

# Colours of their own for light and dark, so that a page's needn't be known.
sub write_svg
{
	my ($file, $width, $height, $label) = @_;
	my @hues = (['#0969da', '#4493f8'], ['#bc4c00', '#db6d28'], ['#1a7f37', '#3fb950'], ['#8250df', '#ab7df8'], ['#bf3989', '#db61a2']);
	my $style = sub {
		my ($mode) = @_;
		my ($ground, $ink, $muted, $grid) = (['#ffffff', '#1f2328', '#59636e', '#d1d9e0'], ['#0d1117', '#f0f6fc', '#9198a1', '#3d444d'])[$mode]->@*;
		my $style = ".ground{fill:$ground}.ink,.title,.head{fill:$ink}.muted{fill:$muted}.grid{stroke:$grid}.reach{stroke:$ink}.bar{fill:$hues[0][$mode]}.missed{fill:$hues[1][$mode]}";
		$style .= ".c$_\{stroke:$hues[$_][$mode]}.t$_\{fill:$hues[$_][$mode]}" for 0 .. $#hues;
		return $style;
	};
	open my $out, '>', "$folder/$file" or die "$folder/$file: $!\n";
	print $out qq(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 $width $height" width="$width" height="$height" role="img" aria-label="@{[ text_of($label) ]}">\n<style>)
	  . 'text{font:13px system-ui,sans-serif}.title{font-size:17px;font-weight:600}.head{font-weight:600}.end{text-anchor:end}.middle{text-anchor:middle}'
	  . 'path{fill:none}.reach{stroke-width:2}.curve{stroke-width:2}.plain{stroke-width:1.5;stroke-dasharray:5 4}'
	  . $style->(0) . '@media(prefers-color-scheme:dark){' . $style->(1) . qq(}</style>\n<rect width="$width" height="$height" rx="8" class="ground"/>\n$svg</svg>\n);
	close $out or die $!;
	print STDERR "drew $folder/$file\n";
}

# each table begins with its header and ends with an empty line
my (@ratios, @panels);
my $table = '';
while (<STDIN>)
{
	if (/^ratio +figure/)
	{
		$table = 'ratios';
	}
	elsif (my ($title, $sizes) = /^(\S.*?)((?: +\d+)+) +growth/)
	{
		$table = 'growth';
		push @panels, { title => $title, sizes => [ split ' ', $sizes ], curves => [] };
	}
	elsif (/^$/)
	{
		$table = '';
	}
	elsif ($table eq 'ratios' && (my ($name, $figure, $sign, $reach, $reached) = /^(\S.*?)  +([\d.]+)(?: +(<=|>=) ([\d.]+) +(yes|no))?/))
	{
		push @ratios, { name => $name, figure => $figure, sign => $sign // '', reach => $reach, missed => ($reached // '') eq 'no' };
	}
	elsif ($table eq 'growth' && (my ($operation, $points) = /^ *(\S.*?)((?: +[\d.]+)+)(?: +<= .*)?$/))
	{
		my @points = split ' ', $points;
		push @{ $panels[-1]{curves} }, { name => $operation, plain => $operation eq 'plain', growth => pop @points, points => \@points };
	}
}

sub draw_ratios
{
	my ($left, $right, $row, $width) = (325, 690, 25, 900);
	my $y = 34;
	$svg = '';
	text(20, $y, 'title', "dbt_sources: $title");
	text(20, $y + 22, 'muted', 'A bar is the median of the rounds of one run; the line is its reach, and the other colour that it was missed.');
	$y += 50;
	for my $part (['Cost, as a multiple of the plain statement (or as said): shorter is better', grep { $_->{sign} ne '>=' } @ratios],
		['Gain over the other, as a multiple: longer is better', grep { $_->{sign} eq '>=' } @ratios])
	{
		my ($heading, @rows) = @$part;
		next if !@rows;
		my $most = round_up(max(grep { $_ < 20 } map { ($_->{figure}, $_->{reach} // ()) } @rows) // 20);
		my $x = sub { my ($value) = @_; return $left + ($right - $left) * ($value < $most ? $value / $most : 1) };
		my $bottom = $y + 24 + $row * @rows;
		text(20, $y, 'head', $heading);
		for my $tick (map { $_ * $most / 4 } 0 .. 4)
		{
			line($x->($tick), $y + 12, $x->($tick), $bottom, 'grid');
			text($x->($tick), $bottom + 16, 'muted middle', $tick + 0);
		}
		my $at = $y + 20;
		for my $ratio (@rows)
		{
			my ($name, $figure, $sign, $reach, $missed) = @{$ratio}{qw(name figure sign reach missed)};
			my $end = $x->($figure);
			text($left - 8, $at + 13, 'ink end', $name);
			$svg .= sprintf qq(<rect x="%.1f" y="%.1f" width="%.1f" height="16" class="%s"/>\n), $left, $at, $end - $left, $missed ? 'missed' : 'bar';
			# further than the picture
			$svg .= sprintf qq(<path d="M%.1f %.1fl8 -20h5l-8 20z" class="ground" style="fill-rule:nonzero"/>\n), $end - 24, $at + 18 if $figure > $most;
			line($x->($reach), $at - 3, $x->($reach), $at + 19, 'reach') if defined $reach && $reach <= $most;
			text(max($end, defined $reach && $reach <= $most ? $x->($reach) : 0) + 7, $at + 13, 'ink', sprintf $figure < 20 ? '%.2f' : '%.0f', $figure);
			text($width - 20, $at + 13, 'muted end', 'reach ' . ($sign eq '<=' ? '≤ ' : '≥ ') . $reach . ($missed ? ', missed' : '')) if defined $reach;
			$at += $row;
		}
		$y = $bottom + 52;
	}
	write_svg('ratios.svg', $width, $y - 22, "Ratios of one run of bench/run: $title");
}

# Labels that would stand on each other move apart.
sub spread
{
	my @labels = sort { $a->{y} <=> $b->{y} } @_;
	for my $i (1 .. $#labels) { $labels[$i]{y} = max($labels[$i]{y}, $labels[ $i - 1 ]{y} + 15) }
	return @labels;
}

sub draw_panel
{
	my ($panel, $x0, $y0) = @_;
	my ($left, $right, $top, $bottom) = ($x0 + 55, $x0 + 280, $y0 + 18, $y0 + 200);
	my @sizes = @{ $panel->{sizes} };
	my @curves = @{ $panel->{curves} };
	my $most = round_up(max(map { @{ $_->{points} } } @curves));
	my $span = log($sizes[-1] / $sizes[0]) || 1;
	my $x = sub { my ($size) = @_; return $left + ($right - $left) * log($size / $sizes[0]) / $span };
	my $y = sub { my ($value) = @_; return $bottom - ($bottom - $top) * $value / $most };
	my @labels;
	my $hue = -1;

	my ($each) = $curves[0]{name} =~ /, (a .*)/;
	text($x0, $y0, 'head', "by $panel->{title}" . ($each ? ", for $each" : ''));
	for my $tick (map { $_ * $most / 4 } 0 .. 4)
	{
		line($left, $y->($tick), $right, $y->($tick), 'grid');
		text($left - 6, $y->($tick) + 4, 'muted end', $tick == $most ? "$tick µs" : $tick + 0);
	}
	text($x->($_), $bottom + 18, 'muted middle', s/(?<=\d)(?=(\d{3})+$)/,/gr) for @sizes;
	for my $curve (@curves)
	{
		$hue++ if !$curve->{plain};
		my $path = join 'L', map { sprintf '%.1f %.1f', $x->($sizes[$_]), $y->($curve->{points}[$_]) } 0 .. $#sizes;
		$svg .= qq(<path d="M$path" class="@{[ $curve->{plain} ? 'plain' : 'curve' ]} c$hue"/>\n);
		push @labels, { y => $y->($curve->{points}[-1]) + 4, hue => $hue, text => ($curve->{name} =~ s/, a .*//r) . " ×$curve->{growth}" } if !$curve->{plain};
	}
	text($right + 8, $_->{y}, "t$_->{hue}", $_->{text}) for spread(@labels);
}

sub draw_growth
{
	$svg = '';
	text(20, 34, 'title', "dbt_sources: $title");
	text(20, 56, 'muted', 'Microseconds of CPU that an operation takes; solid is ours, dashed the plain statement. × is how the last size costs over the first.');
	my $i = 0;
	for (@panels) { draw_panel($_, 20 + 450 * ($i % 2), 96 + 250 * int($i / 2)); $i++ }
	write_svg('growth.svg', 920, 96 + 250 * int(($i + 1) / 2) - 10, "Growth in bench/run scale: $title");
}

draw_ratios() if @ratios;
draw_growth() if @panels;
die "there is nothing to draw\n" if !@ratios && !@panels;
